"""Rules as values: which fields a version has."""

from __future__ import annotations

from typing import Any, Final

from risk.models import RiskRule

FIELDS: Final = (
    "name",
    "title",
    "signal",
    "window_s",
    "threshold",
    "floor",
    "action",
    "freeze_kind",
    "action_s",
    "notice",
    "exempt_plans",
)


def values_of(rule: RiskRule) -> dict[str, Any]:
    """What a version says, as audit events keep it."""
    return {name: getattr(rule, name) for name in FIELDS} | {"version": rule.version}
