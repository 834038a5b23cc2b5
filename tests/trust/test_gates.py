"""Content that cannot be checked goes nowhere, and costs nothing."""

from __future__ import annotations

import pytest

from inference import handlers, runtime
from inference.tests import factories, real_engine
from tokens import selectors as tokens_selectors

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_job_whose_content_cannot_be_checked_fails_with_a_full_refund(user, settings, tmp_path):
    settings.CONSENT_REQUIRED = "off"
    settings.MODELS_DIR = real_engine.build_models(tmp_path / "models")
    # Named and not installed: nobody can ask it.
    settings.SAFETY_MODELS = ["nsfw_1"]
    settings.SAFETY_VOTES_MIN = 1
    runtime.holder.close()
    job = factories.make_job(
        owner_id=user.pk,
        source=real_engine.sample("astronaut.png"),
        target=real_engine.sample("grace_hopper.jpg"),
    )
    assert tokens_selectors.balance(user_id=user.pk).held > 0
    while handlers.run_swap_job(job_id=job.pk):
        pass
    job.refresh_from_db()
    assert job.status == "FAILED"
    assert "nsfw_1" in job.error_detail
    assert not job.result_key
    assert not list((settings.MEDIA_ROOT / "results").rglob("*.*"))
    after = tokens_selectors.balance(user_id=user.pk)
    assert (after.available, after.held) == (100, 0)
    runtime.holder.close()
