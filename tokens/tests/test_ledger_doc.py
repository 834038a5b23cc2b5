"""The worked example of docs/ledger.md, played on the real ledger."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from pathlib import Path

import pytest
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from tokens import services
from tokens.models import Account, Transfer
from tokens.tests.factories import make_user
from tokens.types import Category, LotTerms, RechargeItem, RechargeMode, RechargeRequest

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = (Path(__file__).resolve().parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")


def cells(heading):
    """The rows of the table with this heading, without marks of code."""
    table = TEXT.split(f"\n{heading}\n")[1].split("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[1:]]
    return [[cell.strip().strip("`") for cell in row] for row in rows]


def grant(user, amount, terms):
    services.bulk_recharge(
        request=RechargeRequest(
            items=(RechargeItem(user.user_ref, amount),),
            mode=RechargeMode.ATOMIC,
            operator="shop",
            reason="example",
            terms=terms,
        ),
        actor_id=user.pk,
        idempotency_key=uuid.uuid4().hex,
    )


def play():
    user, now = make_user(), timezone.now()
    gift_ends = now + dt.timedelta(days=7)
    grant(user, 100, LotTerms(category=Category.PAID))
    grant(user, 20, LotTerms(category=Category.PROMO, expires_at=gift_ends))
    with transaction.atomic():
        hold_id = services.place_hold(
            owner_id=user.pk, amount=25, reference="swap_job:example", expires_at=gift_ends
        )
    with transaction.atomic():
        services.settle_hold(hold_id=hold_id, amount=18)
    services.expire_lots(now=gift_ends)


def test_the_journal_is_the_one_in_the_documentation():
    play()
    journal = [
        [row.kind, row.debit, row.credit, str(row.amount), row.lot.category.lower()]
        for row in Transfer.objects.select_related("lot").order_by("pk")
    ]
    written = [row[2:] for row in cells("| # | Event | Kind | From | To | Tokens | Lot |")]
    assert journal == written


def test_the_closing_balances_are_those_in_the_documentation_and_sum_to_zero():
    play()

    def side(name, account):
        rows = Transfer.objects.filter(**{name: account})
        return rows.aggregate(tokens=Sum("amount"))["tokens"] or 0

    written = {name: int(tokens) for name, tokens in cells("| Account | Balance |")}
    assert {name: side("credit", name) - side("debit", name) for name in written} == written
    assert sum(written.values()) == 0


def test_every_account_is_explained():
    explained = {
        name
        for row in cells("| Account | Holds | Grows by | Shrinks by |")
        for name in re.findall(r"[A-Z_]{4,}", row[0])
    }
    assert explained == set(Account.values)
