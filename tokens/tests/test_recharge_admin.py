"""The recharge console: prepare, see first, sign, then watch, steer, retry and take back."""

from __future__ import annotations

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.tests.authenticators import code_of, enrol, forget_wrong_codes
from accounts.types import Role
from tokens import draft_handlers
from tokens.models import RechargeBatch, RechargeDraft, UserSegment
from tokens.tests.drafts import checked, submit
from tokens.tests.factories import make_user
from tokens.tests.recharges import available, create, read

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "admin:tokens_rechargedraft_new"
TERMS = {"mode": "soft_fail", "reason": "June", "category": "promo", "funding": "campaign"}


@pytest.fixture
def operator(client, settings):
    settings.CONSOLE_SECOND_FACTOR = False
    user = make_user(role=Role.OPERATOR)
    enrol(user)
    client.force_login(user)
    return user


def upload(text: str, name: str = "june.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode())


def page_of(client, name, *args, **query) -> str:
    answer = client.get(reverse(f"admin:{name}", args=args), query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_file_is_checked_signed_and_applied_once(client, operator):
    alice = make_user()
    text = f"用户,数量,备注\n{alice.user_ref},,首月\nnobody,3,=x\nbob,4,late\n"
    answer = client.post(reverse(NEW), {**TERMS, "amount": "7", "file": upload(text)})
    draft = RechargeDraft.objects.get()
    url = reverse("admin:tokens_rechargedraft_change", args=[draft.pk])
    assert answer["Location"] == url
    assert "being checked" in client.get(url).content.decode()
    state = reverse("admin:tokens_rechargedraft_state", args=[draft.pk])
    assert client.get(state).json()["is_done"] is False
    draft_handlers.check_draft(draft_id=draft.pk)
    assert client.get(state).json()["is_done"] is True
    draft.refresh_from_db()
    page = client.get(url).content.decode()
    assert draft.batch_sha256 in page
    assert "No active user has this reference" in page
    rows = page_of(client, "tokens_rechargedraft_rows", draft.pk, verdict="error")
    assert ("2 rows" in rows, alice.user_ref in rows) == (True, False)
    refused = client.post(url, {"batch_sha256": draft.batch_sha256, "code": "000000"})
    assert "The code is wrong" in refused.content.decode()
    forget_wrong_codes(operator)
    unsigned = client.post(url, {"batch_sha256": draft.batch_sha256, "code": ""})
    assert "Prove your second factor" in unsigned.content.decode()
    assert not RechargeBatch.objects.exists()
    done = client.post(url, {"batch_sha256": draft.batch_sha256, "code": code_of(operator)})
    batch = RechargeBatch.objects.get()
    assert done["Location"] == reverse("admin:tokens_rechargebatch_change", args=[batch.pk])
    assert (batch.source, batch.actor_id, batch.funding) == ("CSV", operator.pk, "CAMPAIGN")
    assert client.get(url)["Location"] == done["Location"]
    assert available(alice) == 7
    result = client.get(done["Location"]).content.decode()
    assert "?code=account_not_found" in result
    failed = page_of(client, "tokens_rechargebatch_rows", batch.pk, code="failed")
    assert ("nobody" in failed, alice.user_ref in failed) == (True, False)
    assert "2 rows" in failed
    url = reverse("admin:tokens_rechargebatch_failures", args=[batch.pk])
    body = b"".join(client.get(url).streaming_content).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(body))) == [
        ["用户", "数量", "备注", "code", "message_en", "message_zh"],
        [
            "nobody",
            "3",
            "'=x",
            "formula_refused",
            "A cell of the row holds a formula",
            "该行有单元格包含公式",
        ],
        [
            "bob",
            "4",
            "late",
            "account_not_found",
            "No active user has this reference",
            "没有此标识的有效用户",
        ],
    ]
    assert client.get(reverse("admin:tokens_rechargebatch_changelist")).status_code == 200
    assert client.get(reverse("admin:tokens_rechargedraft_changelist")).status_code == 200


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ({}, "exactly one of them"),
        ({"text": "alice,5", "file": ("a.csv", "user\nalice\n")}, "exactly one of them"),
        ({"file": ("june.pdf", "%PDF")}, "must end in .csv"),
        ({"text": "alice", "reason": ""}, "This field is required"),
    ],
)
def test_what_is_missing_is_named_in_the_form(client, operator, sent, fault):
    if "file" in sent:
        sent = sent | {"file": upload(sent["file"][1], sent["file"][0])}
    page = client.post(reverse(NEW), {**TERMS, **sent})
    assert page.status_code == 200
    assert fault in page.content.decode()
    assert not RechargeDraft.objects.exists()


def test_a_segment_is_saved_used_and_retired(client, operator):
    make_user(user_ref="vip-alice")
    url = reverse("admin:tokens_usersegment_new_segment")
    form = {"name": "VIPs", "user_ref_prefix": "vip-"}
    assert "1 user now" in client.post(url, {**form, "count": "1"}).content.decode()
    assert "at least one condition" in client.post(url, {"name": "All"}).content.decode()
    assert client.post(url, form).status_code == 302
    segment = UserSegment.objects.get()
    client.post(reverse(NEW), {**TERMS, "amount": "5", "segment": str(segment.pk)})
    draft = RechargeDraft.objects.get()
    draft_handlers.check_draft(draft_id=draft.pk)
    draft.refresh_from_db()
    assert (draft.name, draft.tokens_total) == ("VIPs", 5)
    terms = reverse("admin:tokens_rechargedraft_terms", args=[draft.pk])
    assert 'value="June"' in client.get(terms).content.decode()
    client.post(terms, {**TERMS, "amount": "6"})
    draft_handlers.check_draft(draft_id=draft.pk)
    draft.refresh_from_db()
    assert draft.tokens_total == 6
    changelist = reverse("admin:tokens_usersegment_changelist")
    client.post(changelist, {"action": "retire", "_selected_action": [str(segment.pk)]})
    segment.refresh_from_db()
    assert not segment.is_active


def test_a_draft_is_its_makers_alone(client, operator):
    other = checked(make_user(role=Role.OPERATOR), "user,amount\nalice,1\n")
    for step in ("change", "terms", "rows", "state"):
        url = reverse(f"admin:tokens_rechargedraft_{step}", args=[other.pk])
        assert client.get(url).status_code == 404
    assert other.name not in page_of(client, "tokens_rechargedraft_changelist")


def test_the_same_file_is_pointed_out(client, operator):
    text = f"user,amount\n{make_user().user_ref},1\n"
    first = submit(checked(operator, text))
    draft = checked(operator, text)
    assert str(first.batch_id) in page_of(client, "tokens_rechargedraft_change", draft.pk)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_empty_tables_can_be_downloaded(client, operator, kind):
    for language in ("en", "zh"):
        url = reverse("admin:tokens_rechargedraft_template", args=[language, kind])
        answer = client.get(url)
        assert answer["Content-Disposition"] == f'attachment; filename="recharge-{language}.{kind}"'
        assert answer.content
    url = reverse("admin:tokens_rechargedraft_template", args=["fr", kind])
    assert client.get(url).status_code == 404


def test_a_batch_is_paused_resumed_and_stopped_by_post_only(client, operator, settings):
    settings.RECHARGE_SYNC_LINES_MAX = 0
    batch = create([(make_user().user_ref, 1)], actor=operator)
    for step, status in (("pause", "paused"), ("resume", "queued"), ("stop", "stopped")):
        url = reverse(f"admin:tokens_rechargebatch_{step}", args=[batch.batch_id])
        before = read(batch).status
        client.get(url)
        assert read(batch).status == before
        assert client.post(url, {"key": "k"}).status_code == 302
        assert read(batch).status == status
        state = client.get(reverse("admin:tokens_rechargebatch_state", args=[batch.batch_id]))
        assert state.json()["status"] == status.upper()
    url = reverse("admin:tokens_rechargebatch_pause", args=[batch.batch_id])
    assert "does not allow this" in client.post(url, {"key": "k"}).content.decode()


def test_failures_are_retried_and_chosen_rows_are_reversed(client, operator):
    alice, bob = make_user(), make_user()
    items = [(alice.user_ref, 5), (bob.user_ref, 6), ("late", 5)]
    batch = create(items, actor=operator)
    late = make_user(user_ref="late")
    url = reverse("admin:tokens_rechargebatch_retry", args=[batch.batch_id])
    assert client.post(url, {"key": "k", "mode": ""}).status_code == 302
    assert available(late) == 5
    url = reverse("admin:tokens_rechargebatch_reverse", args=[batch.batch_id])
    page = client.get(url, {"row": ["1"]}).content.decode()
    assert 'value="1"' in page
    body = {"key": "k", "mode": "atomic", "reason": "wrong", "policy": "refuse", "rows": "1"}
    seen = client.post(url, {**body, "dry_run": "on"})
    assert "1 of 1 lines would be applied: 5 tokens" in seen.content.decode()
    assert available(alice) == 5
    assert client.post(url, body).status_code == 302
    assert (available(alice), available(bob), available(late)) == (0, 6, 5)
    page = client.get(url).content.decode()
    assert "outlook-rows" in page


@pytest.mark.parametrize("role", [Role.APPROVER, Role.AUDITOR])
def test_only_makers_prepare_recharges(client, settings, role):
    settings.CONSOLE_SECOND_FACTOR = False
    maker = make_user(role=Role.OPERATOR)
    batch = create([(make_user().user_ref, 1)], actor=maker)
    draft = checked(maker, "user,amount\nalice,1\n")
    client.force_login(make_user(role=role))
    refused = [reverse(NEW), reverse("admin:tokens_usersegment_new_segment")]
    refused += [
        reverse(f"admin:tokens_rechargedraft_{step}", args=[draft.pk])
        for step in ("change", "terms", "rows", "state")
    ]
    refused += [
        reverse(f"admin:tokens_rechargebatch_{step}", args=[batch.batch_id])
        for step in ("pause", "retry", "reverse")
    ]
    assert {client.get(url).status_code for url in refused} == {403}
    assert "batch-rows" in page_of(client, "tokens_rechargebatch_rows", batch.batch_id)


def test_users_stay_out(client):
    client.force_login(make_user())
    assert client.get(reverse(NEW)).status_code == 302
