"""What models there are: rights, size, and whether the bytes are the recorded ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from inference.pipeline.errors import ModelNotAllowedError
from inference.pipeline.registry.files import VerifiedFiles, file_state, pin_of
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy, check_licence
from inference.pipeline.registry.spec import ModelSpec, Registry

OK: Final = "ok"
# A file is read in full once per process, and again when it changes.
_VERIFIED: Final = VerifiedFiles()


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model as the list shows it; ``reason`` says why it is not allowed here."""

    key: str
    task: str
    contract: str
    vendor: str
    licence: str
    commercial_ok: bool
    is_allowed: bool
    reason: str
    size_bytes: int
    sha256: str
    state: str

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        size = f"{self.size_bytes / 1e6:.1f} MB" if self.size_bytes else "unknown"
        allowed = "yes" if self.is_allowed else "no"
        return (self.key, self.task, self.licence, allowed, size, self.state)

    @property
    def is_usable(self) -> bool:
        """Whether a worker could load it."""
        return self.is_allowed and self.state == OK


def inventory() -> list[ModelRow]:
    """Every described model with the state of its file in MODELS_DIR of this machine.

    The first call of a process reads the files in full, later ones only those that changed.

    Raises:
        ValueError: MODELS_EXTRA or MODEL_POLICY is wrong.
    """
    registry = load_registry(extra=Path(settings.MODELS_EXTRA) if settings.MODELS_EXTRA else None)
    policy = LicencePolicy(name=settings.MODEL_POLICY, licensed=frozenset(settings.MODELS_LICENSED))
    return [
        model_row(
            spec,
            registry=registry,
            policy=policy,
            model_dir=Path(settings.MODELS_DIR),
            verified=_VERIFIED,
        )
        for spec in sorted(registry.models.values(), key=lambda spec: (spec.task, spec.key))
    ]


def model_row(
    spec: ModelSpec,
    *,
    registry: Registry,
    policy: LicencePolicy,
    model_dir: Path,
    verified: VerifiedFiles | None = None,
) -> ModelRow:
    """Look at one model: rights and file, read in full unless ``verified`` knows it."""
    try:
        check_licence(registry=registry, spec=spec, policy=policy)
        reason = ""
    except ModelNotAllowedError as error:
        reason = str(error)
    pin = pin_of(spec, model_dir=model_dir)
    return ModelRow(
        key=spec.key,
        task=spec.task,
        contract=spec.contract,
        vendor=spec.vendor,
        licence=spec.licence,
        commercial_ok=spec.commercial_ok,
        is_allowed=not reason,
        reason=reason,
        size_bytes=spec.size_bytes or (pin.size_bytes if pin else 0),
        sha256=pin.sha256 if pin else "",
        state=file_state(spec, model_dir=model_dir, verified=verified),
    )
