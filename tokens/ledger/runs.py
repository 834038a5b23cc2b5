"""Runs that prove the books and keep what they found."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from tokens import audit
from tokens.audit import Violation
from tokens.ledger import breaks, rollups, seal, snapshots
from tokens.models import ReconRun, SealBlock, SnapshotDay, Transfer

# What the journal says is free and held, beside the two places that keep it as well.
BALANCES_SQL = """
SELECT 'journal',
       sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount),
       sum((credit = 'HELD')::int * amount - (debit = 'HELD')::int * amount)
  FROM tokens_transfer
 UNION ALL SELECT 'wallets', sum(available), sum(held) FROM tokens_wallet
 UNION ALL SELECT 'lots', sum(available), sum(held) FROM tokens_creditlot WHERE is_live
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verification found on one snapshot of the books."""

    started_at: dt.datetime
    violations: tuple[Violation, ...]
    checks_count: int
    summary: dict[str, Any]

    @property
    def is_passed(self) -> bool:
        """True when every check holds."""
        return not self.violations


def verify(*, progress: Callable[[str], None] | None = None) -> Proof:
    """Run every check on one snapshot, in a transaction that cannot write.

    Traffic goes on meanwhile; nothing is locked. A verification of a large ledger keeps its
    snapshot open for minutes, which delays clean-up but no writer and no seal.
    """
    started_at = timezone.now()
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        violations = audit.find_violations(progress=progress)
        summary = _describe()
    return Proof(started_at, tuple(violations), len(audit.NAMES), summary)


def record(*, proof: Proof, kind: ReconRun.Kind, summary: dict[str, Any]) -> uuid.UUID:
    """Keep the outcome of a run and open the breaks it found; joins the caller's transaction."""
    status = ReconRun.Status.PASSED if proof.is_passed else ReconRun.Status.FAILED
    with transaction.atomic():
        run = ReconRun.objects.create(
            kind=kind,
            status=status,
            checks_count=proof.checks_count,
            violations=[asdict(violation) for violation in proof.violations],
            summary={**proof.summary, **summary},
            started_at=proof.started_at,
            finished_at=timezone.now(),
        )
        breaks.note_findings(run=run, violations=proof.violations)
    return run.pk


def reconcile(
    *, now: dt.datetime, progress: Callable[[str], None] | None = None
) -> tuple[Proof, dict[str, Any]]:
    """Seal, add up reports and the days that are complete, verify, and keep the outcome.

    Each step commits on its own, so a run that is cut short is continued by the next.

    Returns:
        The proof, and what the run did.
    """
    say = progress or _say_nothing
    say("seal")
    sealed = seal.seal_all()
    say("reports")
    folded = rollups.fold_all()
    say("snapshots")
    taken = snapshots.take_due(now=now, progress=lambda day: say(f"snapshot {day}"))
    proof = verify(progress=progress)
    done = {
        "sealed_transfers": sealed.transfers,
        "sealed_events": sealed.events,
        "sealed_blocks": sealed.blocks,
        "report_blocks": folded,
        "snapshot_days": [day.isoformat() for day in taken.days],
        "snapshot_balances": taken.balances,
        "waits_for": taken.waits_for.isoformat() if taken.waits_for else None,
    }
    run_id = record(proof=proof, kind=ReconRun.Kind.RECONCILE, summary=done)
    return proof, {**done, "run": str(run_id)}


def _describe() -> dict[str, Any]:
    """Where the books stood on this snapshot."""
    head = SealBlock.objects.order_by("-number").first()
    last_day = SnapshotDay.objects.order_by("-day").first()
    last_transfer = Transfer.objects.order_by("-pk").values_list("pk", flat=True).first()
    return {
        "head_block": head.number if head else None,
        "head_hash": head.hash if head else None,
        "last_snapshot_day": last_day.day.isoformat() if last_day else None,
        "last_transfer": last_transfer,
        "balances": _balances(),
    }


def _balances() -> dict[str, dict[str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(BALANCES_SQL)
        return {
            place: {"available": int(available or 0), "held": int(held or 0)}
            for place, available, held in cursor.fetchall()
        }


def _say_nothing(_step: str) -> None:
    """Nobody watches."""
