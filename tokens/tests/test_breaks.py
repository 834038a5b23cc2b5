from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.errors import RoleRequiredError
from accounts.types import Role
from tokens import handlers, services
from tokens.book_errors import BreakNotFoundError, BreakResolvedError
from tokens.models import AuditEvent, ReconBreak, ReconRun, Wallet
from tokens.services import reconciliation
from tokens.tests.factories import make_user
from tokens.wallet_errors import ReasonMissingError

pytestmark = pytest.mark.django_db(transaction=True)

CHECK = "wallet_available_is_the_sum_of_its_transfers"


@contextmanager
def one_token_too_many():
    """Every wallet says more than its transfers, until somebody mends it."""
    Wallet.objects.update(available=F("available") + 1)
    yield
    Wallet.objects.update(available=F("available") - 1)


@pytest.fixture
def found():
    """The break of a wallet that says one token too many, by a run that is over."""
    make_user(tokens=5)
    with one_token_too_many():
        reconciliation.reconcile()
    return ReconBreak.objects.get(check_name=CHECK)


def test_a_run_opens_a_break_and_the_next_one_counts_it_anew(found):
    assert (found.status, found.offenders_count, len(found.sample)) == ("OPEN", 1, 1)
    make_user(tokens=5)
    with one_token_too_many():
        handlers.reconcile_ledger()
    again = ReconBreak.objects.get(check_name=CHECK)
    assert (again.pk, again.offenders_count) == (found.pk, 2)
    assert again.first_run_id == found.first_run_id != again.last_run_id
    # A run that finds nothing leaves the break to a person.
    reconciliation.reconcile()
    assert ReconRun.objects.order_by("-started_at")[0].status == "PASSED"
    assert ReconBreak.objects.get(pk=found.pk).status == "OPEN"


def test_a_break_is_looked_into_and_resolved_with_a_reason(found):
    clerk = make_user(role=Role.FINANCE)
    taken = services.look_into_break(break_id=found.pk, actor_id=clerk.pk, note=" seen ")
    assert (taken.status, taken.owner_id, taken.note) == ("IN_PROGRESS", clerk.pk, "seen")
    with pytest.raises(ReasonMissingError):
        services.resolve_break(break_id=found.pk, actor_id=clerk.pk, reason="  ")
    services.resolve_break(break_id=found.pk, actor_id=clerk.pk, reason="A restored backup.")
    found.refresh_from_db()
    assert (found.status, found.resolved_by_id) == ("RESOLVED", clerk.pk)
    assert found.resolved_at <= timezone.now()
    events = AuditEvent.objects.filter(subject=f"recon_break:{found.pk}").order_by("pk")
    opened, taken_event, resolved = events
    assert (opened.action, opened.actor_id) == ("recon_break.opened", None)
    assert (taken_event.before or {})["status"] == "open"
    assert (resolved.before or {})["status"] == "in_progress"
    assert (resolved.after or {})["resolution"] == "A restored backup."
    with pytest.raises(BreakResolvedError) as refused:
        services.look_into_break(break_id=found.pk, actor_id=clerk.pk, note="")
    assert refused.value.code == "break_resolved"


def test_what_is_found_after_it_was_resolved_is_a_new_break(found):
    admin = make_user(role=Role.ADMIN)
    services.resolve_break(break_id=found.pk, actor_id=admin.pk, reason="Mended.")
    with one_token_too_many():
        reconciliation.reconcile()
    assert ReconBreak.objects.filter(check_name=CHECK).count() == 2


def test_only_those_who_keep_the_books_settle_breaks(found):
    for role in (Role.OPERATOR, Role.AUDITOR, Role.SUPPORT):
        actor = make_user(role=role)
        with pytest.raises(RoleRequiredError):
            services.resolve_break(break_id=found.pk, actor_id=actor.pk, reason="No.")
    admin = make_user(role=Role.ADMIN)
    with pytest.raises(BreakNotFoundError) as refused:
        services.resolve_break(break_id=0, actor_id=admin.pk, reason="None.")
    assert refused.value.code == "break_not_found"


def test_a_run_says_what_journal_wallets_and_lots_hold():
    make_user(tokens=5)
    reconciliation.reconcile()
    balances = ReconRun.objects.get().summary["balances"]
    fine = {"available": 5, "held": 0}
    assert balances == {"journal": fine, "wallets": fine, "lots": fine}
