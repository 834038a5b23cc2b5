"""What interfaces may ask of the risk engine: the writes."""

from risk.services.backtests import BacktestReport, backtest, backtest_rule, keep_report
from risk.services.decisions import (
    answer_appeal,
    appeal,
    decide,
    expire_decisions,
    judge_decision,
    lift_decision,
)
from risk.services.faces import note_faces
from risk.services.requests import note_request
from risk.services.rules import activate_rule, draft_rule, retire_rule
from risk.services.sweeps import Sweep, forget_faces, purge, sweep

__all__ = [
    "BacktestReport",
    "Sweep",
    "activate_rule",
    "answer_appeal",
    "appeal",
    "backtest",
    "backtest_rule",
    "decide",
    "draft_rule",
    "expire_decisions",
    "forget_faces",
    "judge_decision",
    "keep_report",
    "lift_decision",
    "note_faces",
    "note_request",
    "purge",
    "retire_rule",
    "sweep",
]
