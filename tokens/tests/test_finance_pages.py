from __future__ import annotations

import datetime as dt

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.tests.authenticators import code_of, enrol
from accounts.types import Role
from tokens import export_handlers, handlers, services
from tokens.models import AuditEvent, ExportJob, MonthClose, ReconBreak, ReconRun
from tokens.services import reconciliation
from tokens.tests.factories import make_user
from tokens.tests.test_reconciliation import age
from tokens.types import Operation

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)
PAGES = ("reconciliation", "consumption", "liability", "months")


def url(name, *args):
    return reverse(f"admin:finance_{name}", args=args)


@pytest.fixture
def clerk(client):
    """Somebody of finance, signed in with a proven second factor."""
    user = make_user(role=Role.FINANCE)
    enrol(user)
    client.force_login(user)
    return user


@pytest.fixture
def month():
    """100 tokens bought 40 days ago, 30 of them spent since, and everything reconciled."""
    user = make_user(tokens=100, user_ref="alice")
    age(days=40)
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=user.pk,
            amount=40,
            reference="job:1",
            expires_at=timezone.now() + DAY,
            operation=Operation.IMAGE_SWAP,
        )
        services.settle_hold(hold_id=hold, amount=30)
    reconciliation.reconcile()
    return (timezone.now() - 40 * DAY).date().replace(day=1)


def text_of(client, address, **query):
    answer = client.get(address, query)
    assert answer.status_code == 200, address
    return answer.content.decode()


def table(client, address, key, **query):
    """The rows of a table of the page, cell by cell."""
    context = client.get(address, query).context
    tables = [value for layer in context for frame in layer for value in frame.values()]
    (found,) = {id(it): it for it in tables if getattr(it, "key", "") == key}.values()
    return [[str(cell) for cell in row] for row in found.rows]


def test_reconciliation_shows_opening_in_out_and_closing(client, clerk, month):
    today = timezone.now().date()
    rows = table(client, url("reconciliation"), "source-days")
    assert rows == [
        [today.isoformat(), "Paid", "100", "0", "30", "70", "Settle -30"],
    ]
    early = {"first": (today - 50 * DAY).isoformat(), "last": today.isoformat()}
    assert table(client, url("reconciliation"), "source-totals", **early) == [
        ["Paid", "0", "100", "30", "70"]
    ]
    assert table(client, url("reconciliation"), "balances") == [
        ["Journal", "70", "0", "0"],
        ["Lots", "70", "0", "0"],
        ["Wallets", "70", "0", "0"],
    ]
    assert "checks hold" in text_of(client, url("reconciliation"))
    assert table(client, url("reconciliation"), "source-days", book="SANDBOX") == []


def test_a_filter_that_makes_no_sense_is_said_on_the_page(client, clerk):
    wrong = {"first": "2026-02-02", "last": "2026-02-01"}
    assert "ends before it starts" in text_of(client, url("reconciliation"), **wrong)
    long = {"first": "2020-01-01", "last": "2026-02-01"}
    assert "at most 366 days" in text_of(client, url("consumption"), **long)
    assert "No user has this" in text_of(client, url("consumption"), user="nobody")
    assert "not one of ours" in text_of(client, url("consumption"), cursor="x")


def test_consumption_is_filtered_totalled_and_paged(client, clerk, month, monkeypatch):
    monkeypatch.setattr("tokens.finance_admin.ROWS_PER_PAGE", 1)
    other = make_user(tokens=10, user_ref="bob")
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=other.pk,
            amount=5,
            reference="job:2",
            expires_at=timezone.now() + DAY,
            operation=Operation.VIDEO_SWAP,
        )
        services.settle_hold(hold_id=hold, amount=5)
    handlers.seal_ledger()
    today = timezone.now().date().isoformat()
    bob = [today, "bob", "video_swap", "1", "5", "0", "5"]
    alice = [today, "alice", "image_swap", "1", "30", "0", "30"]
    first = client.get(url("consumption"))
    assert table(client, url("consumption"), "consumption") == [bob]
    after = first.context["next_url"]
    assert table(client, url("consumption") + after, "consumption") == [alice]
    assert client.get(url("consumption") + after).context["next_url"] == ""
    assert table(client, url("consumption"), "consumption-totals") == [
        ["image_swap", "30", "0", "30"],
        ["video_swap", "5", "0", "5"],
    ]
    assert table(client, url("consumption"), "consumption-totals", user="bob") == [
        ["video_swap", "5", "0", "5"]
    ]
    assert table(client, url("consumption"), "consumption", operation="image_swap") == [alice]


def test_liability_is_told_by_week_of_expiry(client, clerk, month):
    assert table(client, url("liability"), "liability") == [["never", "70", "70"]]
    assert table(client, url("liability"), "liability", book="SANDBOX") == []


def test_a_month_says_what_stands_in_its_way_then_closes_and_reopens(client, clerk, month):
    run = ReconRun.objects.latest("started_at")
    found = ReconBreak.objects.create(
        check_name="a check", offenders_count=1, first_run=run, last_run=run
    )
    assert "Breaks are not resolved." in text_of(client, url("months"))
    slug = f"{month:%Y-%m}"
    answer = client.post(url("close_month", slug), {"code": code_of(clerk)})
    assert "Resolve the open breaks first." in answer.content.decode()
    services.resolve_break(break_id=found.pk, actor_id=clerk.pk, reason="Only a test.")
    client.post(url("close_month", slug), {})
    closed = MonthClose.objects.get()
    assert (closed.month, closed.closed_by_id) == (month, clerk.pk)
    assert f"Reopen {slug}" in text_of(client, url("months"))
    refused = client.post(url("reopen_month", slug), {"reason": ""})
    assert "This field is required" in refused.content.decode()
    client.post(url("reopen_month", slug), {"reason": "A late correction."})
    closed.refresh_from_db()
    assert closed.reopen_reason == "A late correction."
    assert client.get(url("close_month", "2026-13")).status_code == 404


def test_closing_asks_for_the_second_factor(client, clerk, month):
    answer = client.post(url("close_month", f"{month:%Y-%m}"), {})
    assert "Prove your second factor" in answer.content.decode()
    assert not MonthClose.objects.exists()


def test_a_break_is_taken_and_resolved_on_its_page(client, clerk, month):
    run = ReconRun.objects.latest("started_at")
    found = ReconBreak.objects.create(
        check_name="a check", offenders_count=1, sample=["wallet 7"], first_run=run, last_run=run
    )
    page = reverse("admin:tokens_reconbreak_change", args=[found.pk])
    assert "wallet 7" in text_of(client, page)
    client.post(page, {"step": "note", "note": "Looking."})
    client.post(page, {"step": "resolve", "reason": ""})
    found.refresh_from_db()
    assert (found.status, found.owner_id, found.note) == ("IN_PROGRESS", clerk.pk, "Looking.")
    client.post(page, {"step": "resolve", "reason": "A test."})
    found.refresh_from_db()
    assert found.status == "RESOLVED"
    assert client.post(page, {"step": "other"}).status_code == 403


def test_an_export_is_ordered_followed_and_downloaded(client, clerk, month, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    order = reverse("admin:tokens_exportjob_order")
    today = timezone.now().date().isoformat()
    assert "Order a file" in text_of(client, order)
    wanted = {"name": "consumption", "file_format": "csv", "first": today, "last": today}
    answer = client.post(order, {**wanted, "basis": "recorded"})
    job = ExportJob.objects.get()
    page = reverse("admin:tokens_exportjob_change", args=[job.pk])
    assert answer.headers["Location"] == page
    assert client.get(url("export_state", job.pk)).json() == {
        "status": "QUEUED",
        "percent": 0,
        "text": "Queued",
    }
    assert client.get(url("export_file", job.pk)).status_code == 404
    export_handlers.write_export(export_id=job.pk)
    assert client.get(url("export_state", job.pk)).json()["percent"] == 100
    assert "Download consumption" in text_of(client, page)
    file = client.get(url("export_file", job.pk))
    assert b"alice,image_swap,30,0,30" in b"".join(file.streaming_content)
    assert file.headers["Cache-Control"].startswith("private, no-store")
    assert AuditEvent.objects.filter(action="export.downloaded", actor=clerk).count() == 1
    other = make_user(role=Role.ADMIN)
    client.force_login(other)
    assert client.get(url("export_file", job.pk)).status_code == 404
    assert "Download consumption" not in text_of(client, page)


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.AUDITOR, 200), (Role.FINANCE, 200), (Role.SUPPORT, 403), (Role.SRE, 403)],
)
def test_only_those_who_read_the_books_see_them(client, role, status):
    client.force_login(make_user(role=role))
    for page in PAGES:
        assert client.get(url(page)).status_code == status
    assert client.get(reverse("admin:tokens_exportjob_order")).status_code == status
    answer = client.post(url("close_month", "2026-01"), {})
    assert answer.status_code == (200 if role == Role.FINANCE else 403)
