from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from tokens import audit, services
from tokens.tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)

# One deliberate corruption per invariant, each past the constraints that would normally stop it.
CORRUPTIONS = {
    "wallet_available_is_the_sum_of_its_transfers": (
        "UPDATE tokens_wallet SET available = available + 1"
    ),
    "wallet_held_is_the_sum_of_its_transfers": ("UPDATE tokens_wallet SET held = held + 1"),
    "wallet_held_is_the_sum_of_pending_holds": (
        "UPDATE tokens_hold SET status = 'VOIDED', resolved_at = now() WHERE status = 'PENDING'"
    ),
    "wallet_is_the_sum_of_its_lots": (
        "UPDATE tokens_creditlot SET granted = granted + 1, available = available + 1"
    ),
    "lot_is_the_sum_of_its_transfers": (
        "UPDATE tokens_creditlot SET granted = granted + 1, held = held + 1"
    ),
    "lot_belongs_to_the_wallet_of_its_transfers": (
        "UPDATE tokens_creditlot SET wallet_id = (SELECT max(id) FROM tokens_wallet)"
    ),
    "wallet_was_never_negative": "UPDATE tokens_transfer SET amount = 1 WHERE kind = 'RECHARGE'",
    "hold_agrees_with_its_transfers": (
        "UPDATE tokens_hold SET settled = settled - 1 WHERE status = 'SETTLED'"
    ),
    "transfer_concerns_the_wallet_of_its_origin": (
        "UPDATE tokens_hold SET wallet_id = (SELECT max(id) FROM tokens_wallet)"
        " WHERE status = 'SETTLED'"
    ),
    "applied_line_has_one_transfer_of_its_amount": (
        "UPDATE tokens_rechargeline SET amount = amount + 1"
    ),
    "batch_agrees_with_its_lines": (
        "UPDATE tokens_rechargebatch SET tokens_total = tokens_total + 1"
    ),
    "no_hold_is_pending_an_hour_past_its_deadline": (
        "UPDATE tokens_hold SET expires_at = now() - interval '2 hours' WHERE status = 'PENDING'"
    ),
}


@pytest.fixture
def ledger():
    """A wallet with a settled and a pending hold."""
    user = make_user(tokens=10)
    make_user(tokens=1)
    with transaction.atomic():
        settled = services.place_hold(
            owner_id=user.pk, amount=4, reference="settled", expires_at=timezone.now()
        )
        services.settle_hold(hold_id=settled, amount=3)
        services.place_hold(
            owner_id=user.pk, amount=2, reference="pending", expires_at=timezone.now()
        )
    return user


def test_there_is_a_corruption_for_every_invariant():
    assert set(CORRUPTIONS) == {invariant.name for invariant in audit.INVARIANTS}


@pytest.mark.corrupts_books
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_invariant_finds_its_corruption(ledger, name):
    assert audit.find_violations() == []
    with connection.cursor() as cursor:
        for table in ("tokens_transfer", "tokens_rechargeline"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(CORRUPTIONS[name])
        for table in ("tokens_transfer", "tokens_rechargeline"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    assert name in {violation.name for violation in audit.find_violations()}


def test_the_command_reports_balanced_books(ledger, capsys):
    call_command("audit_ledger")
    assert "The books balance." in capsys.readouterr().out
    call_command("audit_ledger", json=True)
    report = json.loads(capsys.readouterr().out)
    assert report == {"invariants": len(audit.INVARIANTS), "violations": []}


@pytest.mark.corrupts_books
def test_the_command_fails_and_names_what_is_broken(ledger, capsys):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tokens_wallet SET available = 99")
    with pytest.raises(CommandError, match="does not balance"):
        call_command("audit_ledger")
    assert "BROKEN  wallet_available_is_the_sum_of_its_transfers: 2" in capsys.readouterr().out
