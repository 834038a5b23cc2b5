"""Apply what is staged in the session's table, whatever kind of batch it belongs to."""

from __future__ import annotations

from dataclasses import replace

from tokens.ledger import recharge, reversal
from tokens.ledger.recharge import APPLIED, Verdicts
from tokens.models import RechargeBatch, RechargeLine


def judge(*, batch: RechargeBatch, is_dry_run: bool, locks_first: bool = False) -> Verdicts:
    """Decide every staged row as the batch would; in atomic mode one bad row refuses all.

    Args:
        batch: its mode, kind and reversal policy decide.
        is_dry_run: write and lock nothing; may run in a READ ONLY transaction.
        locks_first: lock the wallets before judging; a reversal always does.
    """
    if batch.reverses_id is None:
        verdicts = recharge.judge(is_dry_run=is_dry_run, locks_first=locks_first)
    else:
        verdicts = reversal.judge(
            is_dry_run=is_dry_run,
            takes_unused_part=batch.reversal_policy == RechargeBatch.ReversalPolicy.UNUSED_PART,
        )
    if batch.mode != RechargeBatch.Mode.ATOMIC or verdicts.is_clean:
        return verdicts
    if batch.reverses_id is not None:
        verdicts = reversal.forget_unused_parts()
    return _refused(verdicts)


def apply(*, batch: RechargeBatch, locks_first: bool) -> Verdicts:
    """Judge the staged rows, store all of them and move the tokens of the good ones.

    Raises:
        StateChangedError: a wallet changed meanwhile; roll back and come again with
            ``locks_first``, which cannot fail that way.
    """
    verdicts = judge(batch=batch, is_dry_run=False, locks_first=locks_first)
    if batch.mode == RechargeBatch.Mode.ATOMIC and not verdicts.is_clean:
        recharge.write_refusal(batch_id=batch.pk)
    elif batch.reverses_id is None:
        is_scheduled = batch.source == RechargeBatch.Source.SCHEDULE
        recharge.write_grants(batch_id=batch.pk, verdicts=verdicts, is_scheduled=is_scheduled)
    else:
        reversal.write_reversals(batch_id=batch.pk)
    return verdicts


def _refused(verdicts: Verdicts) -> Verdicts:
    """Innocent lines of a refused batch say so instead of looking applied."""
    lines, tokens = dict(verdicts.lines), dict(verdicts.tokens)
    innocent, untouched = lines.pop(APPLIED, 0), tokens.pop(APPLIED, 0)
    if innocent:
        lines[RechargeLine.Outcome.ROLLED_BACK.value] = innocent
        tokens[RechargeLine.Outcome.ROLLED_BACK.value] = untouched
    return replace(verdicts, lines=lines, tokens=tokens)
