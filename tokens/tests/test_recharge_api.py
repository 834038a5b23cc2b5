"""Bulk recharge over HTTP: files, streams, filters, dry runs, steps, reports."""

from __future__ import annotations

import io
import uuid

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.types import Role, Scope
from tokens import batch_handlers
from tokens.api.uploads import XLSX_TYPE
from tokens.models import CreditLot, RechargeBatch, Wallet
from tokens.tests.factories import make_user
from tokens.tests.recharges import available
from tokens.tests.test_api import client

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/recharge-batches"
HEAD = {"mode": "soft_fail", "reason": "June"}
NDJSON = "application/x-ndjson"


@pytest.fixture
def operator():
    return client(
        make_user(role=Role.OPERATOR), scopes=(Scope.RECHARGES_WRITE, Scope.RECHARGES_READ)
    )


def keyed(key: str | None = None) -> dict[str, str]:
    return {"HTTP_IDEMPOTENCY_KEY": key or uuid.uuid4().hex}


def stream(api, content: bytes, content_type=NDJSON, key=None, path=URL, **parameters):
    query = "&".join(f"{name}={value}" for name, value in {**HEAD, **parameters}.items())
    return api.generic("POST", f"{path}?{query}", content, content_type, **keyed(key))


def post(api, body, key=None, path=URL):
    return api.post(path, body, format="json", **keyed(key))


def workbook(*rows) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.create_sheet(index=0)
    for row in rows:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def test_a_stream_of_rows(operator):
    alice, bob = make_user(), make_user()
    content = (
        f'{{"user": "{alice.user_ref}", "amount": 5, "key": "a"}}\n'
        f'{{"user": "{bob.user_ref}"}}\nbroken\n'
    ).encode()
    reply = stream(operator, content, amount=7, category="promo", key="k")
    assert reply.status_code == 201, reply.data
    assert (reply.data["source"], reply.data["tokens_total"]) == ("ndjson", 12)
    assert [(f["row_no"], f["code"]) for f in reply.data["failures"]] == [(3, "row_unreadable")]
    assert available(bob) == 7
    again = stream(operator, content, amount=7, category="promo", key="k")
    assert (again.data, again["Idempotency-Replayed"]) == (reply.data, "true")
    other = stream(operator, content + b"\n", amount=7, category="promo", key="k")
    assert (other.status_code, other.data["code"]) == (422, "idempotency_key_reused")
    other = stream(operator, content, amount=8, category="promo", key="k")
    assert other.status_code == 422


@pytest.mark.parametrize("kind", ["csv", "xlsx", "csv-form", "xlsx-form"])
def test_files(operator, kind):
    alice = make_user()
    rows = [["用户", "数量"], [alice.user_ref, 5], ["nobody", 6]]
    is_book = kind.startswith("xlsx")
    content = (
        workbook(*rows)
        if is_book
        else "\n".join(",".join(map(str, row)) for row in rows).encode("gb18030")
    )
    if kind.endswith("form"):
        upload = SimpleUploadedFile(f"june.{kind[:-5].upper()}", content)
        reply = operator.post(URL, {**HEAD, "file": upload}, format="multipart", **keyed())
    else:
        reply = stream(operator, content, XLSX_TYPE if is_book else "text/csv")
    assert reply.status_code == 201, reply.data
    assert reply.data["failed_users"] == ["nobody"]
    assert reply.data["source"] == kind.split("-")[0]
    assert available(alice) == 5


def test_an_atomic_file_with_an_unreadable_row_is_refused_and_points_at_it(operator):
    alice = make_user()
    content = f"user,amount\n{alice.user_ref},5\nbob,x\n".encode()
    reply = stream(operator, content, "text/csv", mode="atomic")
    assert (reply.status_code, reply.data["code"]) == (422, "recharge_refused")
    assert [(e["pointer"], e["code"]) for e in reply.data["errors"]] == [
        ("#/rows/1", "amount_scale_invalid")
    ]
    assert available(alice) == 0


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"PK nonsense", XLSX_TYPE, 400, "unreadable_file"),
        (b"name\nx\n", "text/csv", 400, "unreadable_file"),
        (b"", "text/csv", 400, "invalid_request"),
        (b"\n\n", NDJSON, 400, "invalid_recharge"),
        (b"x" * 2_000, NDJSON, 413, "file_too_large"),
        (b"x", "application/xml", 415, "unsupported_media_type"),
    ],
)
def test_bad_files_store_nothing(operator, settings, content, content_type, status, code):
    settings.RECHARGE_FILE_BYTES_MAX = 1_000
    reply = stream(operator, content, content_type)
    assert (reply.status_code, reply.data["code"]) == (status, code)
    assert not RechargeBatch.objects.exists()


def test_forms_need_a_file_of_a_known_kind(operator):
    missing = operator.post(URL, HEAD, format="multipart", **keyed())
    assert (missing.status_code, missing.data["errors"][0]["pointer"]) == (400, "#/file")
    upload = SimpleUploadedFile("june.pdf", b"%PDF")
    wrong = operator.post(URL, {**HEAD, "file": upload}, format="multipart", **keyed())
    assert (wrong.status_code, wrong.data["code"]) == (400, "unreadable_file")
    no_mode = stream(operator, b"user\na\n", "text/csv", mode="")
    assert (no_mode.status_code, no_mode.data["errors"][0]["pointer"]) == (400, "#/mode")


def test_lines_have_terms_of_their_own(operator):
    alice, bob = make_user(), make_user()
    reply = post(
        operator,
        {
            **HEAD,
            "category": "promo",
            "expires_at": "2099-01-01T00:00:00Z",
            "lines": [
                {"user": alice.user_ref, "amount": 5, "key": "a", "priority": 7},
                {"user": bob.user_ref, "amount": 5, "category": "reward", "expires_at": None},
                {"user": "x", "amount": 5, "expires_at": "2000-01-01T00:00:00Z", "key": "a"},
            ],
        },
    )
    assert reply.status_code == 201, reply.data
    assert list(
        CreditLot.objects.order_by("pk").values_list("category", "priority", "expires_at__year")
    ) == [("PROMO", 7, 2099), ("REWARD", 50, None)]


def test_a_filter_and_its_preview(operator):
    for number in range(3):
        make_user(user_ref=f"team-{number}")
    body = {**HEAD, "filter": {"user_ref_prefix": "team-", "role": "user"}, "amount": 4}
    seen = operator.post(f"{URL}:preview", body, format="json")
    assert (seen.status_code, seen.data["applied_count"], seen.data["tokens_total"]) == (200, 3, 12)
    assert not Wallet.objects.exists()
    done = post(operator, body)
    assert (done.status_code, done.data["tokens_total"], done.data["source"]) == (201, 12, "filter")
    assert done.data["content_sha256"] == seen.data["content_sha256"]


def test_a_filter_can_aim_at_a_plan(operator):
    for number, plan in enumerate(("vip", "free", "vip", "enterprise")):
        user = make_user(user_ref=f"team-{number}")
        user.plan = plan
        user.save()
    reply = post(operator, {**HEAD, "filter": {"plan": "vip"}, "amount": 4})
    assert (reply.status_code, reply.data["tokens_total"]) == (201, 8), reply.data
    wrong = post(operator, {**HEAD, "filter": {"plan": "gold"}, "amount": 4})
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"filter": {}, "amount": 1}, "#/filter"),
        ({"filter": {"role": "king"}, "amount": 1}, "#/filter/role"),
        ({"filter": {"role": "user"}}, "#/amount"),
        ({"filter": {"role": "user"}, "users": ["a"], "amount": 1}, "#"),
        ({"lines": [{"user": "a", "amount": 1}], "amount": 1}, "#"),
        ({"lines": [{"user": "a", "amount": 1, "priority": 101}]}, "#/lines/0/priority"),
        ({"lines": [{"user": "a", "amount": 1, "key": 5}]}, "#/lines/0/key"),
        ({"lines": [{"user": "a", "amount": 1, "expires_at": "soon"}]}, "#/lines/0/expires_at"),
        ({"users": ["a"], "amount": 1, "category": "refund"}, "#/category"),
    ],
)
def test_wrong_fields_are_named(operator, body, pointer):
    reply = post(operator, {**HEAD, **body})
    assert (reply.status_code, reply.data["errors"][0]["pointer"]) == (400, pointer)


def test_funding_and_ticket_are_kept_read_back_and_part_of_what_is_signed(operator):
    alice = make_user()
    said = {"funding": "contract", "ticket": "OPS-7"}
    body = {**HEAD, "users": [alice.user_ref], "amount": 3}
    plain = post(operator, body)
    assert (plain.data["funding"], plain.data["ticket"]) == ("", "")
    asked = post(operator, {**body, **said}, key="k")
    assert {name: asked.data[name] for name in said} == said
    assert asked.data["content_sha256"] != plain.data["content_sha256"]
    other = post(operator, {**body, **said, "ticket": "OPS-8"}, key="k")
    assert (other.status_code, other.data["code"]) == (422, "idempotency_key_reused")
    content = f"user,amount\n{alice.user_ref},5\n".encode()
    filed = stream(operator, content, "text/csv", **said)
    assert {name: filed.data[name] for name in said} == said
    partly = post(operator, {**body, **said, "users": [alice.user_ref, "late"]})
    make_user(user_ref="late")
    retried = post(operator, {}, path=f"{partly['Location']}:retry-failed")
    assert {name: retried.data[name] for name in said} == said
    wrong = post(operator, {**body, "funding": "luck"})
    assert (wrong.status_code, wrong.data["errors"][0]["pointer"]) == (400, "#/funding")


def test_a_dry_run_needs_no_key_and_changes_nothing(operator):
    alice = make_user()
    body = {**HEAD, "users": [alice.user_ref, "nobody"], "amount": 3, "dry_run": True}
    reply = operator.post(URL, body, format="json")
    assert reply.status_code == 200, reply.data
    assert reply.data["outcomes"] == {"applied": 1, "account_not_found": 1}
    assert (reply.data["status"], reply.data["failed_users"]) == ("partially_applied", ["nobody"])
    atomic = operator.post(URL, {**body, "mode": "atomic"}, format="json")
    assert (atomic.status_code, atomic.data["status"], atomic.data["applied_count"]) == (
        200,
        "failed",
        0,
    )
    assert atomic.data["outcomes"] == {"rolled_back": 1, "account_not_found": 1}
    assert not RechargeBatch.objects.exists()
    assert not Wallet.objects.exists()


def test_a_large_batch_is_accepted_steered_read_and_reported(operator, settings):
    settings.RECHARGE_SYNC_LINES_MAX = 2
    people = [make_user() for _ in range(3)]
    content = "user,amount\n" + "".join(f"{person.user_ref},5\n" for person in people)
    content += "nobody,5\n=evil,5\n"
    accepted = stream(operator, content.encode(), "text/csv", key="k")
    assert (accepted.status_code, accepted.data["status"]) == (202, "queued")
    where = accepted["Location"]
    assert operator.post(f"{where}:pause").data["status"] == "paused"
    assert operator.post(f"{where}:resume").data["status"] == "queued"
    batch_handlers.apply_recharge_batch(batch_id=uuid.UUID(accepted.data["id"]))
    done = operator.get(where).data
    assert (done["status"], done["done_count"], done["failed_count"]) == ("partially_applied", 5, 2)
    late = operator.post(f"{where}:stop")
    assert (late.status_code, late.data["code"]) == (409, "recharge_batch_state")
    again = stream(operator, content.encode(), "text/csv", key="k")
    assert (again.status_code, again.data, again["Idempotency-Replayed"]) == (
        202,
        accepted.data,
        "true",
    )
    failed = operator.get(f"{where}/lines", {"outcome": "failed"}).data["items"]
    assert [(line["row_no"], line["code"]) for line in failed] == [
        (4, "account_not_found"),
        (5, "formula_refused"),
    ]
    only = operator.get(f"{where}/lines", {"outcome": "formula_refused"}).data["items"]
    assert [line["row_no"] for line in only] == [5]
    report = operator.get(f"{where}/failures.csv")
    assert report["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in report["Content-Disposition"]
    text = b"".join(report.streaming_content).decode().splitlines()
    assert text[0].startswith("row_no,user,amount,key")
    assert text[1].startswith("4,nobody,5,,paid,50,,,account_not_found,")
    assert text[2].startswith("5,'=evil,5,")
    listed = operator.get(URL, {"status": "partially_applied"}).data["items"]
    assert [item["id"] for item in listed] == [accepted.data["id"]]
    assert operator.get(URL, {"status": "queued"}).data["items"] == []


def test_retry_and_reversal(operator):
    alice = make_user()
    first = post(operator, {**HEAD, "users": [alice.user_ref, "late"], "amount": 5})
    late = make_user(user_ref="late")
    where = first["Location"]
    missing = operator.post(f"{where}:retry-failed", {}, format="json")
    assert (missing.status_code, missing.data["code"]) == (400, "idempotency_key_missing")
    child = post(operator, {}, path=f"{where}:retry-failed")
    assert (child.status_code, child.data["retry_of"]) == (201, first.data["id"])
    assert child["Location"] == f"{URL}/{child.data['id']}"
    twice = post(operator, {}, path=f"{where}:retry-failed")
    assert (twice.status_code, twice.data["code"]) == (409, "recharge_already_retried")
    assert twice.data["retry_id"] == child.data["id"]
    body = {**HEAD, "rows": [1]}
    seen = operator.post(f"{where}:reverse", {**body, "dry_run": True}, format="json")
    assert (seen.status_code, seen.data["applied_count"]) == (200, 1)
    assert available(alice) == 5
    back = post(operator, body, key="r", path=f"{where}:reverse")
    assert (back.status_code, back.data["reversal_of"]) == (201, first.data["id"])
    assert (available(alice), available(late)) == (0, 5)
    replay = post(operator, body, key="r", path=f"{where}:reverse")
    assert (replay.status_code, replay.data) == (201, back.data)
    refused = post(operator, {**body, "mode": "atomic"}, path=f"{where}:reverse")
    assert (refused.status_code, refused.data["errors"][0]["code"]) == (422, "already_reversed")


def test_steps_need_the_scope_and_a_batch(operator):
    nowhere = f"{URL}/{uuid.uuid4()}"
    for step in ("pause", "resume", "stop"):
        assert operator.post(f"{nowhere}:{step}").status_code == 404
    assert operator.get(f"{nowhere}/failures.csv").status_code == 404
    body = {**HEAD}
    assert post(operator, body, path=f"{nowhere}:reverse").status_code == 404
    assert post(operator, {}, path=f"{nowhere}:retry-failed").status_code == 404
    reader = client(make_user(role=Role.OPERATOR), scopes=(Scope.RECHARGES_READ,))
    for step in ("pause", "resume", "stop", "retry-failed", "reverse"):
        assert reader.post(f"{nowhere}:{step}").status_code == 403
    assert reader.post(f"{URL}:preview", {}, format="json").status_code == 403
