"""What ``manage.py check --deploy`` says about the signer of labels."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from inference import labelling
from inference.pipeline.labels.facts import LabelError


@register(Tags.security, deploy=True)
def check_label_signer(**_kwargs: Any) -> list[CheckMessage]:
    """Results need a signer that is the operator's own."""
    # The library that signs takes long to load, and other commands run checks too.
    from inference.pipeline.labels.certificate import is_of_development  # noqa: PLC0415
    from inference.pipeline.labels.signing import certificates  # noqa: PLC0415

    hint = "Make one with `manage.py label_signer`, or buy one; see docs/labels.md."
    try:
        leaf = certificates(labelling.signer().chain_pem)[0]
    except LabelError as error:
        return [Error(f"Results cannot be labelled: {error}", hint=hint, id="inference.E001")]
    if is_of_development(leaf):
        return [
            Error("Labels are signed by a signer of development.", hint=hint, id="inference.E002")
        ]
    return []
