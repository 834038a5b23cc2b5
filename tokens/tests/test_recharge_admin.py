"""The recharge console: upload, see first, then act; steer and reverse."""

from __future__ import annotations

import re
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.types import Role
from tokens.models import RechargeBatch
from tokens.tests.factories import make_user
from tokens.tests.recharges import available, create, read

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "admin:tokens_rechargebatch_new_recharge"


@pytest.fixture
def operator(client):
    user = make_user(role=Role.OPERATOR)
    client.force_login(user)
    return user


def key_in(page) -> str:
    found = re.search(r'name="key" value="([0-9a-f]{32})"', page.content.decode())
    assert found is not None
    return found[1]


def upload(text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("june.csv", text.encode())


def form(key: str, **more) -> dict[str, object]:
    return {
        "key": key,
        "mode": "soft_fail",
        "reason": "June",
        "category": "promo",
        "priority": "10",
        **more,
    }


def test_a_file_is_previewed_then_applied_once(client, operator):
    alice = make_user()
    text = f"user,amount\n{alice.user_ref},\nnobody,3\n"
    url = reverse(NEW)
    key = key_in(client.get(url))
    dry = form(key, amount="7", dry_run="on")
    page = client.post(url, {**dry, "file": upload(text)})
    assert "1 of 2 lines would be applied: 7 tokens" in page.content.decode()
    assert "No active user has this reference" in page.content.decode()
    assert not RechargeBatch.objects.exists()
    for _click in range(2):
        answer = client.post(url, {**form(key, amount="7"), "file": upload(text)})
        batch = RechargeBatch.objects.get()
        assert answer.status_code == 302
        assert answer["Location"] == reverse("admin:tokens_rechargebatch_change", args=[batch.pk])
    assert (batch.source, batch.actor_id, batch.category) == ("CSV", operator.pk, "PROMO")
    assert available(alice) == 7
    assert client.get(answer["Location"]).status_code == 200
    assert client.get(reverse("admin:tokens_rechargebatch_changelist")).status_code == 200


def test_a_bad_file_is_named_in_the_form(client, operator):
    page = client.post(
        reverse(NEW), {**form(uuid.uuid4().hex), "file": SimpleUploadedFile("june.pdf", b"%PDF")}
    )
    assert page.status_code == 200
    assert "must end in .csv, .xlsx, .ndjson or .json" in page.content.decode()


def test_a_batch_is_paused_resumed_and_stopped_by_post_only(client, operator, settings):
    settings.RECHARGE_SYNC_LINES_MAX = 0
    batch = create([(make_user().user_ref, 1)], actor=operator)
    for step, status in (("pause", "paused"), ("resume", "queued"), ("stop", "stopped")):
        url = reverse(f"admin:tokens_rechargebatch_{step}", args=[batch.batch_id])
        before = read(batch).status
        key = key_in(client.get(url))
        assert read(batch).status == before
        assert client.post(url, {"key": key}).status_code == 302
        assert read(batch).status == status
    url = reverse("admin:tokens_rechargebatch_pause", args=[batch.batch_id])
    assert "does not allow this" in client.post(url, {"key": "k"}).content.decode()


def test_failures_are_retried_and_a_batch_is_reversed(client, operator):
    alice = make_user()
    batch = create([(alice.user_ref, 5), ("late", 5)], actor=operator)
    late = make_user(user_ref="late")
    url = reverse("admin:tokens_rechargebatch_retry", args=[batch.batch_id])
    assert client.post(url, {"key": "k", "mode": ""}).status_code == 302
    assert available(late) == 5
    url = reverse("admin:tokens_rechargebatch_reverse", args=[batch.batch_id])
    body = {"key": "k", "mode": "atomic", "reason": "wrong", "policy": "refuse", "rows": "1"}
    seen = client.post(url, {**body, "dry_run": "on"})
    assert "1 of 1 lines would be applied: 5 tokens" in seen.content.decode()
    assert available(alice) == 5
    assert client.post(url, body).status_code == 302
    assert (available(alice), available(late)) == (0, 5)


def test_users_stay_out(client):
    client.force_login(make_user())
    assert client.get(reverse(NEW)).status_code == 302
