from __future__ import annotations

import datetime as dt

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts.types import Role, Scope
from tokens import exports, services
from tokens.services import proof, reconciliation
from tokens.tests.factories import make_user
from tokens.types import Operation

pytestmark = pytest.mark.django_db(transaction=True)

PATHS = [
    "ledger/accounts",
    "ledger/wallets/alice",
    "ledger/days?first=2026-01-01&last=2026-01-02",
    "ledger/consumption?first=2026-01-01&last=2026-01-02",
    "ledger/proof",
    "ledger/closed-months",
    "reconciliation-runs",
    "seals",
    "seals/statement",
    "audit-events",
    "exports",
    "exports/journal?first=2026-01-01&last=2026-01-02",
]


def client(user, *scopes: Scope) -> APIClient:
    issued = accounts_services.issue_api_key(user_id=user.pk, name="test", scopes=scopes)
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    return api


@pytest.fixture
def operator():
    return client(make_user(role=Role.OPERATOR), Scope.AUDIT_READ)


@pytest.fixture
def alice():
    """100 tokens, 30 spent on a picture, everything sealed and proven."""
    owner = make_user(tokens=100, user_ref="alice")
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=owner.pk,
            amount=30,
            reference="job",
            expires_at=timezone.now() + dt.timedelta(hours=1),
            operation=Operation.IMAGE_SWAP,
        )
        services.settle_hold(hold_id=hold, amount=30)
    reconciliation.reconcile()
    return owner


def get(api, path, **query):
    return api.get(f"/api/v1/{path}", query or None)


@pytest.mark.parametrize("path", PATHS)
def test_operators_read_everything(operator, alice, path):
    assert get(operator, path).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_users_and_keys_without_the_scope_read_nothing(alice, path):
    user = get(client(alice, Scope.LEDGER_READ), path)
    assert (user.status_code, user.json()["code"]) == (403, "role_required")
    other = client(make_user(role=Role.OPERATOR), Scope.RECHARGES_READ)
    assert get(other, path).json()["code"] == "scope_missing"
    assert get(APIClient(), path).status_code == 401


def test_a_wallet_is_read_at_a_moment(operator, alice):
    now = get(operator, "ledger/wallets/alice").json()
    assert (now["available"], now["held"], now["total"], now["basis"]) == (70, 0, 70, "effective")
    then = get(operator, "ledger/wallets/alice", at="2020-01-01T00:00:00Z", basis="recorded")
    assert then.json()["total"] == 0
    assert get(operator, "ledger/wallets/nobody").json()["code"] == "user_not_found"
    bad = get(operator, "ledger/wallets/alice", basis="wishful")
    assert bad.json()["errors"][0]["pointer"] == "#/basis"


def test_accounts_sum_to_zero(operator, alice):
    accounts = get(operator, "ledger/accounts").json()["accounts"]
    assert sum(accounts.values()) == 0
    assert (accounts["wallet"], accounts["consumed"], accounts["issuance_paid"]) == (70, 30, -100)


def test_consumption_of_one_user(operator, alice):
    today = timezone.now().date().isoformat()
    found = get(operator, "ledger/consumption", first=today, last=today, user="alice").json()
    (row,) = found["items"]
    assert (row["user"], row["operation"], row["net"]) == ("alice", "image_swap", 30)


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [("2026-02-01", "2026-01-01", "invalid"), ("2024-01-01", "2026-01-01", "max_value")],
)
def test_a_range_runs_forward_and_is_short(operator, first, last, code):
    reply = get(operator, "ledger/days", first=first, last=last)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["code"] == code


def test_the_status_says_whether_the_books_are_proven(operator, alice):
    status = get(operator, "ledger/proof").json()
    assert status["is_proven"] is True
    assert status["head"]["number"] == 1
    assert (status["last_run"]["kind"], status["last_run"]["status"]) == ("reconcile", "passed")
    assert status["last_failed_run"] is None


def test_an_empty_ledger_has_a_status_and_no_statement(operator):
    assert get(operator, "ledger/proof").json()["is_proven"] is False
    assert get(operator, "seals/statement").status_code == 404


def test_lists_are_paged(operator, alice):
    proof.record_verification(proof=proof.verify_ledger())
    with transaction.atomic():
        for number in range(3):
            proof.record_event(
                actor_id=alice.pk, action="a", subject="s:1", before=None, after={"n": number}
            )
    first = get(operator, "audit-events", limit=2, subject="s:1").json()
    assert [item["after"]["n"] for item in first["items"]] == [2, 1]
    second = get(operator, "audit-events", limit=2, subject="s:1", cursor=first["next_cursor"])
    assert [item["after"]["n"] for item in second.json()["items"]] == [0]
    assert second.json()["items"][0]["actor"] == "alice"
    runs = get(operator, "reconciliation-runs", limit=1).json()
    assert runs["items"][0]["kind"] == "verify"
    older = get(operator, "reconciliation-runs", limit=1, cursor=runs["next_cursor"]).json()
    assert (older["items"][0]["kind"], older["next_cursor"]) == ("reconcile", None)
    assert get(operator, "reconciliation-runs", cursor="x").json()["code"] == "invalid_cursor"


def test_the_statement_can_be_checked(operator, alice):
    document = get(operator, "seals/statement").json()
    assert proof.find_statement_faults(document) == []


def test_exports_are_streamed_as_csv(operator, alice):
    assert get(operator, "exports").json()["items"] == list(exports.NAMES)
    today = timezone.now().date().isoformat()
    operator.credentials(**operator._credentials, HTTP_ACCEPT="text/csv")
    reply = get(operator, "exports/journal", first=today, last=today)
    assert reply["Content-Type"] == "text/csv; charset=utf-8"
    assert f"journal-{today}-{today}.csv" in reply["Content-Disposition"]
    lines = b"".join(reply.streaming_content).decode().splitlines()
    assert lines[0].startswith("id,kind,user,lot,debit,credit,amount")
    assert len(lines) == 4


def test_an_unknown_export_is_a_problem(operator):
    reply = get(operator, "exports/passwords", first="2026-01-01", last="2026-01-02")
    assert (reply.status_code, reply.json()["code"]) == (404, "unknown_export")


@pytest.mark.parametrize(
    "model",
    [
        "auditevent",
        "sealblock",
        "snapshotday",
        "balancesnapshot",
        "reconrun",
        "monthclose",
    ],
)
def test_the_console_shows_and_never_edits(alice, model):
    admin = make_user(role=Role.ADMIN)
    browser = Client()
    browser.force_login(admin)
    assert browser.get(f"/admin/tokens/{model}/").status_code == 200
    assert browser.get(f"/admin/tokens/{model}/add/").status_code == 403
