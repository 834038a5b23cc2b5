"""Which models a deployment may use, by their licences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inference.pipeline.errors import ModelNotAllowedError
from inference.pipeline.registry.spec import ModelSpec, Registry

POLICIES: Final = ("commercial", "any")


@dataclass(frozen=True, slots=True)
class LicencePolicy:
    """The deployment's rule.

    Attributes:
        name: ``commercial`` refuses models that are not cleared for it, ``any`` refuses none.
        licensed: keys of models for which the operator holds a licence of their own.

    Raises:
        ValueError: an unknown name.
    """

    name: str = "commercial"
    licensed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise ValueError(
                f"MODEL_POLICY is '{self.name}', it must be one of {', '.join(POLICIES)}"
            )

    def allows(self, spec: ModelSpec) -> bool:
        """Whether the model by itself may be used; see ``check_licence`` for what it needs."""
        return self.name == "any" or spec.commercial_ok or spec.key in self.licensed


def check_licence(*, registry: Registry, spec: ModelSpec, policy: LicencePolicy) -> None:
    """Refuse a model that the policy does not clear, or that needs one.

    Raises:
        ModelNotAllowedError: names the model that is in the way and the cleared models of the task.
    """
    blocker = _first_blocker(registry, spec, policy)
    if blocker is None:
        return
    cleared = [
        other.key
        for other in registry.by_task(spec.task)
        if _first_blocker(registry, other, policy) is None
    ]
    advice = f"use {' or '.join(cleared)}" if cleared else "no model is cleared for this task"
    need = "" if blocker is spec else f"'{spec.key}' needs "
    raise ModelNotAllowedError(
        f"{need}'{blocker.key}' ({blocker.licence}), which is not cleared for commercial use; "
        f"{advice}, or add '{blocker.key}' to MODELS_LICENSED if you hold a licence"
    )


def _first_blocker(registry: Registry, spec: ModelSpec, policy: LicencePolicy) -> ModelSpec | None:
    """The model itself, or the first one it needs, that the policy does not allow."""
    if not policy.allows(spec):
        return spec
    for key in spec.requires:
        blocker = _first_blocker(registry, registry.spec(key), policy)
        if blocker is not None:
            return blocker
    return None
