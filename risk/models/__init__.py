"""Rows of the risk engine."""

from risk.models.activities import FaceSighting, RiskMinute
from risk.models.decisions import RiskDecision
from risk.models.rules import RiskRule

__all__ = ["FaceSighting", "RiskDecision", "RiskMinute", "RiskRule"]
