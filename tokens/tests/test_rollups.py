from __future__ import annotations

import datetime as dt
import json
import uuid

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from accounts.services.sandboxes import sandbox_of
from tokens import audit, handlers, services
from tokens.ledger import rollups, seal
from tokens.models import (
    ConsumptionDay,
    CreditLot,
    JournalDay,
    LiabilityDay,
    RollupHead,
    Transfer,
)
from tokens.tests.factories import make_user
from tokens.tests.threads import in_threads
from tokens.types import Category, LotTerms, Operation, RechargeItem, RechargeMode, RechargeRequest

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)


def grant(user, amount, **terms):
    services.bulk_recharge(
        request=RechargeRequest(
            items=(RechargeItem(user.user_ref, amount),),
            mode=RechargeMode.ATOMIC,
            operator="test",
            reason="test",
            terms=LotTerms(**terms),
        ),
        actor_id=user.pk,
        idempotency_key=uuid.uuid4().hex,
    )


def spend(user, *, held, settled, refunded=0, operation=Operation.IMAGE_SWAP):
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=user.pk,
            amount=held,
            reference=uuid.uuid4().hex,
            expires_at=timezone.now() + DAY,
            operation=operation,
        )
        services.settle_hold(hold_id=hold, amount=settled)
        if refunded:
            services.refund_hold(hold_id=hold, amount=refunded, note="test")


@pytest.fixture
def traffic():
    """A job over two lots, one that was partly refunded, a hold, expired tokens and a sandbox."""
    user = make_user(tokens=100)
    grant(user, 20, category=Category.PROMO, expires_at=timezone.now() + 7 * DAY)
    spend(user, held=30, settled=25)
    spend(user, held=5, settled=5, refunded=2, operation=Operation.VIDEO_SWAP)
    with transaction.atomic():
        services.place_hold(
            owner_id=user.pk, amount=4, reference="open", expires_at=timezone.now() + DAY
        )
    grant(user, 9, category=Category.REWARD, expires_at=timezone.now() + dt.timedelta(seconds=60))
    services.expire_lots(now=timezone.now() + DAY)
    with transaction.atomic():
        sandbox = sandbox_of(user=user)
    services.refill_sandbox(owner_id=sandbox.pk)
    spend(sandbox, held=3, settled=3)
    return user


def state():
    """All figures, without the numbers of the rows."""
    return [
        sorted(model.objects.order_by().values_list(*fields), key=str)
        for model, fields in (
            (
                JournalDay,
                ["day", "book", "source", "kind", "operation", "debit", "credit", "tokens"],
            ),
            (ConsumptionDay, ["day", "wallet", "operation", "holds_count", "charged", "refunded"]),
            (LiabilityDay, ["book", "source", "expires_on", "available", "held"]),
        )
    ]


def sealed_in_small_blocks():
    with transaction.atomic():
        seal.seal(block_rows=2)


def test_reports_say_what_the_journal_says(traffic):
    sealed_in_small_blocks()
    rollups.fold_all()
    today = timezone.now().date()
    spent = {
        (row.operation, row.book): (row.holds_count, row.charged, row.refunded)
        for row in ConsumptionDay.objects.filter(day=today)
    }
    # The first job drew on two lots and is one job all the same.
    assert spent == {
        ("image_swap", "LIVE"): (1, 25, 0),
        ("video_swap", "LIVE"): (1, 5, 2),
        ("image_swap", "SANDBOX"): (1, 3, 0),
    }
    journal: dict[tuple[str, str], tuple[int, int]] = {}
    for transfer in Transfer.objects.select_related("lot"):
        key = (transfer.kind, transfer.lot.category)
        count, tokens = journal.get(key, (0, 0))
        journal[key] = (count + 1, tokens + transfer.amount)
    days: dict[tuple[str, str], tuple[int, int]] = {}
    for entry in JournalDay.objects.all():
        count, tokens = days.get((entry.kind, entry.source), (0, 0))
        days[entry.kind, entry.source] = (count + entry.transfers_count, tokens + entry.tokens)
    assert days == journal
    owed: dict[tuple[str, object], tuple[int, int]] = {}
    for lot in CreditLot.objects.all():
        on = lot.expires_at and lot.expires_at.date()
        free, held = owed.get((lot.category, on), (0, 0))
        owed[lot.category, on] = (free + lot.available, held + lot.held)
    kept: dict[tuple[str, object], tuple[int, int]] = {}
    for week in LiabilityDay.objects.all():
        free, held = kept.get((week.source, week.expires_on), (0, 0))
        kept[week.source, week.expires_on] = (free + week.available, held + week.held)
    assert kept == owed


def test_a_block_is_added_once_however_the_runs_are_cut(traffic):
    sealed_in_small_blocks()
    assert rollups.fold_all() > 5
    whole = state()
    assert rollups.fold_all() == 0
    assert state() == whole
    RollupHead.objects.all().delete()
    for model in (JournalDay, ConsumptionDay, LiabilityDay):
        model.objects.all().delete()
    is_done = False
    while not is_done:
        with transaction.atomic():
            is_done = rollups.fold(blocks_max=1).is_done
        assert audit.find_violations() == []
    assert state() == whole


def test_runs_at_the_same_moment_add_each_block_once(traffic):
    sealed_in_small_blocks()
    assert in_threads(rollups.fold_all, rollups.fold_all, rollups.fold_all) == []
    whole = state()
    assert rollups.rebuild() > 5
    assert state() == whole


def test_what_is_not_sealed_is_not_in_the_reports_yet(traffic):
    assert rollups.fold_all() == 0
    assert state() == [[], [], []]
    handlers.seal_ledger()
    before = state()
    spend(traffic, held=1, settled=1)
    assert state() == before
    handlers.seal_ledger()
    assert state() != before


def test_the_command_adds_up_and_rebuilds(traffic, capsys):
    seal.seal_all()
    call_command("ledger_reports", json=True)
    assert json.loads(capsys.readouterr().out) == {"blocks": 1, "is_rebuilt": False}
    whole = state()
    JournalDay.objects.update(tokens=0)
    call_command("ledger_reports", rebuild=True, json=True)
    assert json.loads(capsys.readouterr().out) == {"blocks": 1, "is_rebuilt": True}
    assert state() == whole
