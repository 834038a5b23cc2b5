"""Random histories of wallets, lots, holds and batches against an independent model.

The short form is part of every test run and the same each time. ``make test-ledger-long`` draws
another one each time; it says which, and LEDGER_SEED repeats that one.
"""

from __future__ import annotations

import os
import random
import sys

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tokens.tests.model import backend, batches, wallets
from tokens.tests.model.bench import OPERATIONS_AROUND
from tokens.tests.model.clock import standing_clock
from tokens.tests.model.machine import LedgerMachine

SHORT_FORM = 10_000
STEPS = 100
# What a run that never met it has not tried: kinds of transfers, outcomes of lines, ends of
# batches, refusals, and the corners between them.
MUST_HAPPEN = [
    "replayed",
    "hold over several lots",
    "hold expired",
    "hold expired at the instant",
    "lot expired",
    "lot expired beside held tokens",
    "settled from a lot that has expired",
    "over-run: charge",
    "over-run: charge, not in full",
    "over-run: write_off, not in full",
    "refund to a grace lot",
    "refund of a part, from several lots",
    "reversal: unused part",
    "wallet: FROZEN",
    "wallet: CLOSED",
    *(
        f"journal: {kind}"
        for kind in [
            "RECHARGE",
            "HOLD",
            "SETTLE",
            "RELEASE",
            "OVERRUN",
            "EXPIRE",
            "REGRANT",
            "REFUND",
            "REVERSE",
            "CREDIT",
            "DEBIT",
        ]
    ),
    *(
        f"recharge: {outcome}"
        for outcome in [
            "applied",
            "rolled_back",
            "not_attempted",
            "key_invalid",
            "account_not_found",
            "account_frozen",
            "account_closed",
            "amount_not_positive",
            "amount_out_of_range",
            "exceeds_max_balance",
            "expiry_in_past",
            "effective_after_expiry",
            "duplicate_row_in_batch",
            "item_key_conflict",
        ]
    ),
    *(
        f"reversal: {outcome}"
        for outcome in [
            "applied",
            "rolled_back",
            "not_attempted",
            "row_not_applied",
            "already_reversed",
            "reversal_credits_used",
        ]
    ),
    *(
        f"{group}: {status}"
        for group in ["atomic", "soft_fail", "recharge", "reversal"]
        for status in ["QUEUED", "PAUSED", "STOPPED", "APPLIED", "FAILED"]
    ),
    "recharge: PARTIALLY_APPLIED",
    "reversal: PARTIALLY_APPLIED",
    *(
        f"refused: {refusal}"
        for refusal in [
            "insufficient_tokens",
            "wallet_frozen",
            "wallet_closed",
            "wallet_not_empty",
            "adjustment_exceeds_balance",
            "exceeds_max_balance",
            "integrity_error",
            "hold_resolved",
            "hold_resolved settled",
            "hold_resolved voided",
            "hold_resolved expired",
            "refund_refused not_settled",
            "refund_refused refunded",
            "refund_refused too_much",
            "refund_refused wallet_closed",
            "idempotency_key_reused",
            "recharge_batch_state queued",
            "recharge_already_retried",
            "nothing_to_retry",
            "nothing_to_reverse",
        ]
    ),
]


@pytest.fixture
def say(capsys):
    """Write to the terminal whatever pytest captures."""

    def write(text):
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return write


@pytest.fixture
def _limits(settings):
    """Small enough that a handful of rows needs a worker, several chunks and all limits."""
    settings.RECHARGE_SYNC_LINES_MAX = batches.SYNC_ROWS_MAX
    settings.RECHARGE_CHUNK_LINES = batches.CHUNK_ROWS
    settings.RECHARGE_AMOUNT_MAX = batches.AMOUNT_MAX
    settings.TOKENS_REFUND_GRACE_S = wallets.GRACE_H * 3600


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_limits")
@pytest.mark.timeout(0)  # what fails is brought into its shortest form, which takes minutes
def test_any_history_leaves_what_the_model_says(say):
    operations = int(os.environ.get("LEDGER_OPERATIONS", SHORT_FORM))
    seed = os.environ.get("LEDGER_SEED", "")
    is_random = bool(seed) or operations > SHORT_FORM
    if is_random:
        number = int(seed or random.randrange(2**32))  # noqa: S311  # no secret
        say(f"Again: make test-ledger-long LEDGER_OPERATIONS={operations} LEDGER_SEED={number}")
        hypothesis.seed(number)(LedgerMachine)
    runs = -(-operations // (STEPS + OPERATIONS_AROUND))
    LedgerMachine.runs_per_audit = max(LedgerMachine.runs_per_audit, runs // 10)
    with standing_clock() as clock:
        LedgerMachine.clock = clock
        run_state_machine_as_test(
            LedgerMachine,
            settings=hypothesis.settings(
                backend=backend.NAME,
                max_examples=runs,
                stateful_step_count=STEPS,
                derandomize=not is_random,
                database=None,
                deadline=None,
                phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
                suppress_health_check=list(hypothesis.HealthCheck),
            ),
        )
    counts = LedgerMachine.operations
    mix = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    say(f"{counts.total()} operations in {LedgerMachine.runs} runs: {mix}")
    assert counts.total() >= operations
    assert [event for event in MUST_HAPPEN if not LedgerMachine.events[event]] == []
