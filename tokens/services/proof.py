"""Proof of the books: audit events, seals, verification and the signed statement."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from tokens.ledger import runs
from tokens.ledger.events import record_event
from tokens.ledger.runs import Proof
from tokens.ledger.seal import count_unsealed
from tokens.ledger.seal import seal_all as seal_ledger
from tokens.ledger.statements import find_faults as find_statement_faults
from tokens.ledger.statements import make as make_statement
from tokens.ledger.statements import write as write_statement
from tokens.models import ReconRun

__all__ = [
    "Proof",
    "count_unsealed",
    "find_statement_faults",
    "make_statement",
    "record_event",
    "record_verification",
    "seal_ledger",
    "verify_ledger",
    "write_statement",
]


def verify_ledger(*, progress: Callable[[str], None] | None = None) -> Proof:
    """Prove the books on one snapshot; owns a transaction that cannot write."""
    return runs.verify(progress=progress)


def record_verification(*, proof: Proof) -> uuid.UUID:
    """Keep the outcome of a verification for operators to see."""
    return runs.record(proof=proof, kind=ReconRun.Kind.VERIFY, summary={})
