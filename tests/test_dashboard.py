"""The overview of the console: what it says, to whom, and for how many queries."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.types import Role
from inference import job_reports
from inference.models import SwapJob
from inference.tests.factories import make_job
from tokens import handlers, services
from tokens.models import Hold, ReconRun
from tokens.services import reconciliation
from tokens.tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = dt.timedelta(hours=1)
# Whatever the tables hold: session, viewer, menu, and one query per figure.
QUERIES_MAX = 46


@pytest.fixture
def context_of(client):
    def look(role):
        client.force_login(make_user(role=role))
        answer = client.get(reverse("admin:index"))
        assert answer.status_code == 200
        return answer.context

    return look


def cards(context, key):
    return {str(card.title): card.value for card in context[key]}


def run_proof():
    reconciliation.reconcile()
    job_reports.count_days()


def test_it_shows_what_moved_and_what_ran(context_of):
    customer = make_user(tokens=100)
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=customer.pk, amount=9, reference="x", expires_at=timezone.now() + HOUR
        )
        services.settle_hold(hold_id=hold, amount=7)
    make_job(owner_id=customer.pk)
    run_proof()
    context = context_of(Role.ADMIN)
    money = cards(context, "money_cards")
    assert (money["Granted today"], money["Spent today"]) == ("100", "7")
    assert (money["Free to spend"], money["Held for running work"]) == ("92", "1")
    assert cards(context, "job_cards")["Waiting"] == "1"
    (line,) = context["top_table"].rows
    assert line == [customer.user_ref, "1", "7"]
    bars = json.loads(context["money_chart"].data)["datasets"]
    # The last bar of the granted tokens is the figure of the table's first line.
    assert bars[1]["data"][-1] == 100
    assert context["money_chart"].table.rows[0][1] == "100"
    assert [day.outcome for day in context["strip"]][-2:] == ["none", "passed"]


def test_it_says_what_needs_somebody(context_of):
    customer = make_user(tokens=5)
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=customer.pk, amount=5, reference="x", expires_at=timezone.now() + HOUR
        )
    job = make_job(owner_id=make_user(tokens=5).pk)
    SwapJob.objects.filter(pk=job.pk).update(sent_at=timezone.now())
    handlers.seal_ledger()
    assert "not proven lately" in str(alerts(context_of(Role.ADMIN)))
    reconciliation.reconcile()
    quiet = alerts(context_of(Role.ADMIN))
    assert "proven" not in str(quiet)
    Hold.objects.filter(pk=hold).update(expires_at=timezone.now() - HOUR / 2)
    loud = str(alerts(context_of(Role.ADMIN)))
    assert "1 hold is past its deadline" in loud
    assert "1 wait in the queue “swaps”, and no worker takes them." in loud


def alerts(context):
    return [alert.text for alert in context["alerts"]]


def test_a_failed_proof_is_urgent(context_of):
    now = timezone.now()
    ReconRun.objects.create(
        kind="RECONCILE",
        status="FAILED",
        checks_count=1,
        violations=[],
        summary={},
        started_at=now,
        finished_at=now,
    )
    context = context_of(Role.FINANCE)
    (alert,) = [it for it in context["alerts"] if "do not balance" in it.text]
    assert alert.is_urgent
    assert context["strip"][-1].outcome == "failed"


@pytest.mark.parametrize(
    ("role", "has_money", "has_work"),
    [
        (Role.ADMIN, True, True),
        (Role.FINANCE, True, False),
        (Role.SRE, False, True),
        (Role.SAFETY, False, False),
    ],
)
def test_each_role_sees_its_part(context_of, role, has_money, has_work):
    context = context_of(role)
    assert ("money_cards" in context, "job_cards" in context) == (has_money, has_work)
    if role == Role.SAFETY:
        assert alerts(context) == []


def test_its_queries_do_not_grow(client):
    client.force_login(make_user(role=Role.ADMIN))
    for _ in range(3):
        customer = make_user(tokens=10)
        make_job(owner_id=customer.pk)
    run_proof()
    client.get(reverse("admin:index"))
    with CaptureQueriesContext(connection) as few:
        client.get(reverse("admin:index"))
    for _ in range(5):
        make_job(owner_id=make_user(tokens=10).pk)
    run_proof()
    with CaptureQueriesContext(connection) as many:
        client.get(reverse("admin:index"))
    assert len(few) == len(many) <= QUERIES_MAX
