"""The sandbox, as an integrator meets it: test keys, free tokens, uploads that force outcomes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import keys
from accounts import services as accounts_services
from accounts.models import User, WebhookEvent
from accounts.types import Role
from inference import handlers, transitions
from inference.models import MediaAsset, SwapJob
from inference.sandbox_media import MEDIA, Outcome
from inference.tests import factories
from tokens import books, exports
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services
from tokens.models import CreditLot, RechargeBatch
from tokens.tests import recharges
from tokens.wallet_errors import InvalidAdjustmentError
from tokens.wallets import AdjustmentOrder

pytestmark = pytest.mark.django_db(transaction=True)
SCOPES = [
    "media:write",
    "media:read",
    "jobs:write",
    "jobs:read",
    "ledger:read",
    "webhooks:write",
    "webhooks:read",
]
IDS = {outcome: str(asset_id) for asset_id, outcome in MEDIA.items()}
LIVE_TOKENS = 50


class Integrator:
    """A live account with tokens, a live key and a test key; talks HTTP only."""

    def __init__(self) -> None:
        self.user = factories.make_user(tokens=LIVE_TOKENS)
        self.person = APIClient()
        self.person.force_login(self.user)
        self.live, self.live_key = self._client(is_test=False)
        self.test, self.test_key = self._client(is_test=True)
        self.sandbox = User.objects.get(sandbox_of=self.user)

    def _client(self, *, is_test: bool) -> tuple[APIClient, dict[str, object]]:
        answer = self.person.post(
            "/api/v1/api-keys", {"name": "k", "scopes": SCOPES, "is_test": is_test}, format="json"
        )
        assert answer.status_code == 201, answer.json()
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['key']}")
        return client, answer.json()

    def refill(self) -> Any:
        answer = self.test.post("/api/v1/sandbox/refill")
        assert answer.status_code == 200, answer.json()
        return answer.json()

    def job(self, source: str, target: str, *, client: APIClient | None = None) -> uuid.UUID:
        client = client or self.test
        quote = client.post("/api/v1/quotes", pair(source, target), format="json")
        assert quote.status_code == 201, quote.json()
        job = client.post(
            "/api/v1/jobs",
            {"quote_id": quote.json()["id"]},
            format="json",
            HTTP_IDEMPOTENCY_KEY=uuid.uuid4().hex,
        )
        assert job.status_code == 202, job.json()
        return uuid.UUID(job.json()["id"])

    def shown(self, job_id: uuid.UUID) -> Any:
        return self.test.get(f"/api/v1/jobs/{job_id}").json()

    def live_tokens(self) -> Any:
        return self.live.get("/api/v1/balance").json()["total"]


def pair(source: str, target: str) -> dict[str, str]:
    return {
        "operation": "image_swap",
        "source_asset_id": source,
        "target_asset_id": target,
    }


@pytest.fixture(autouse=True)
def _own_media_and_limits(settings, tmp_path: Path) -> Iterator[None]:
    settings.MEDIA_ROOT = tmp_path / "media"
    yield
    cache.clear()


@pytest.fixture
def integrator() -> Integrator:
    return Integrator()


def test_a_test_key_acts_as_an_account_of_its_own(integrator):
    assert str(integrator.test_key["key"]).startswith("ffk_test_")
    assert keys.is_well_formed(str(integrator.test_key["key"]))
    assert str(integrator.live_key["key"]).startswith("ffk_live_")
    assert (integrator.test_key["is_test"], integrator.live_key["is_test"]) == (True, False)
    me = integrator.test.get("/api/v1/me").json()
    assert me["is_sandbox"]
    assert me["user_ref"] != integrator.user.user_ref
    assert not integrator.live.get("/api/v1/me").json()["is_sandbox"]
    listed = integrator.person.get("/api/v1/api-keys").json()["items"]
    assert {(key["id"], key["is_test"]) for key in listed} == {
        (integrator.test_key["id"], True),
        (integrator.live_key["id"], False),
    }


def test_the_owner_rotates_and_revokes_test_keys_and_others_cannot(integrator):
    path = f"/api/v1/api-keys/{integrator.test_key['id']}"
    stranger = APIClient()
    stranger.force_login(factories.make_user())
    assert stranger.post(f"{path}/rotate").status_code == 404
    assert stranger.delete(path).status_code == 404
    rotated = integrator.person.post(f"{path}/rotate", {}, format="json").json()
    assert rotated["key"].startswith("ffk_test_")
    assert integrator.person.delete(path).status_code == 204
    assert integrator.test.get("/api/v1/me").json()["code"] == "api_key_revoked"


def test_a_sandbox_ends_with_its_owner(integrator):
    User.objects.filter(pk=integrator.user.pk).update(is_active=False)
    assert integrator.test.get("/api/v1/me").json()["code"] == "user_inactive"


def test_test_keys_of_staff_rule_over_nobody():
    admin = factories.make_user(role=Role.ADMIN)
    client = APIClient()
    client.force_login(admin)
    answer = client.post(
        "/api/v1/api-keys",
        {"name": "k", "scopes": ["recharges:write"], "is_test": True},
        format="json",
    )
    assert answer.json()["code"] == "api_key_request_invalid"


def test_refills_fill_up_to_a_fixed_amount(integrator, settings):
    settings.SANDBOX_TOKENS = 7
    assert integrator.refill() == {"available": 7, "held": 0, "total": 7}
    assert integrator.refill() == {"available": 7, "held": 0, "total": 7}
    integrator.job(IDS[Outcome.OK], IDS[Outcome.OK])
    assert integrator.refill() == {"available": 7, "held": 1, "total": 8}
    lots = CreditLot.objects.filter(wallet__owner=integrator.sandbox)
    assert sorted((lot.category, lot.granted) for lot in lots) == [("PROMO", 1), ("PROMO", 7)]
    assert set(RechargeBatch.objects.filter(key_scope="sandbox").values_list("actor_id")) == {
        (integrator.sandbox.pk,)
    }
    assert integrator.live_tokens() == LIVE_TOKENS


def test_refills_at_once_fill_once(integrator, settings):
    settings.SANDBOX_TOKENS = 7
    start = threading.Barrier(6)

    def refill() -> int:
        start.wait()
        try:
            return tokens_services.refill_sandbox(owner_id=integrator.sandbox.pk).available
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        found = [future.result() for future in [pool.submit(refill) for _ in range(6)]]
    assert found == [7] * 6


def test_refills_are_for_test_keys_and_limited(integrator, settings):
    assert integrator.live.post("/api/v1/sandbox/refill").json()["code"] == "sandbox_only"
    assert integrator.person.post("/api/v1/sandbox/refill").json()["code"] == "sandbox_only"
    assert APIClient().post("/api/v1/sandbox/refill").status_code == 401
    settings.SANDBOX_REFILL_RATE = "1/h"
    integrator.refill()
    assert integrator.test.post("/api/v1/sandbox/refill").json()["code"] == "rate_limited"


ENDINGS = [
    (Outcome.OK, "target", "succeeded", None),
    (Outcome.SLOW, "target", "succeeded", None),
    (Outcome.NO_FACE, "source", "failed", "no_face_in_source"),
    (Outcome.NO_FACE, "target", "failed", "no_face_in_target"),
    (Outcome.TWO_FACES, "source", "failed", "several_faces_in_source"),
    (Outcome.TWO_FACES, "target", "failed", "several_faces_in_target"),
    (Outcome.BLOCKED, "target", "blocked", "content_blocked_in_target"),
    (Outcome.FAIL, "target", "failed", "internal_error"),
]


@pytest.mark.parametrize(("outcome", "where", "state", "code"), ENDINGS)
def test_magic_media_force_outcomes(integrator, settings, outcome, where, state, code):
    settings.SANDBOX_SLOW_S = 1
    integrator.refill()
    accounts_services.create_endpoint(
        user_id=integrator.sandbox.pk, url="https://receiver.example/", events=["*"]
    )
    wanted = {"source": IDS[Outcome.OK], "target": IDS[Outcome.OK]} | {where: IDS[outcome]}
    job_id = integrator.job(**wanted)
    assert integrator.shown(job_id)["state"] == "queued"

    assert handlers.run_swap_job(job_id=job_id) is False

    job = integrator.shown(job_id)
    paid = int(state == "succeeded")
    assert job["state"] == state
    assert (job["error"] or {}).get("code") == code
    receipt = job["receipt"]
    assert [receipt[name] for name in ("quoted", "held", "settled", "refunded")] == [
        1,
        1,
        paid,
        1 - paid,
    ]
    assert integrator.test.get("/api/v1/balance").json()["available"] == 1_000 - paid
    told = WebhookEvent.objects.get(user=integrator.sandbox, type=f"job.{state}")
    assert told.data["receipt"]["settled"] == paid
    result = integrator.test.get(f"/api/v1/jobs/{job_id}/result")
    assert result.status_code == (200 if paid else 410)
    if paid:
        assert result.getvalue().startswith(b"\x89PNG")
        assert integrator.test.get(f"/api/v1/jobs/{job_id}/thumbnail").status_code == 200
    events = integrator.test.get(f"/api/v1/jobs/{job_id}/events", HTTP_ACCEPT="text/event-stream")
    assert events.status_code == 200, events.content
    assert f'"state": "{state}"' in events.getvalue().decode()
    assert integrator.live_tokens() == LIVE_TOKENS


def test_slow_can_be_watched_and_canceled(integrator, settings):
    settings.SANDBOX_SLOW_S = 30
    integrator.refill()
    job_id = integrator.job(IDS[Outcome.OK], IDS[Outcome.SLOW])

    def work() -> None:
        try:
            handlers.run_swap_job(job_id=job_id)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + 20
    while integrator.shown(job_id)["progress"]["percent"] < 46 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert integrator.shown(job_id)["state"] == "running"
    assert integrator.test.post(f"/api/v1/jobs/{job_id}/cancel").status_code == 200
    worker.join(timeout=10)
    assert not worker.is_alive()
    assert integrator.shown(job_id)["receipt"]["refunded"] == 1


def test_ordinary_uploads_of_a_sandbox_come_back_as_they_are(integrator):
    integrator.refill()
    upload = integrator.test.post(
        "/api/v1/assets", {"file": SimpleUploadedFile("a.jpg", factories.picture())}
    ).json()
    job_id = integrator.job(upload["id"], upload["id"])
    handlers.run_swap_job(job_id=job_id)
    result = integrator.test.get(f"/api/v1/jobs/{job_id}/result").getvalue()
    assert result == integrator.test.get(f"/api/v1/assets/{upload['id']}/content").getvalue()


def test_live_accounts_are_refused_magic_media(integrator):
    own = str(factories.make_asset(owner_id=integrator.user.pk).pk)
    for source, target, param in (
        (IDS[Outcome.OK], own, "source_asset_id"),
        (own, IDS[Outcome.OK], "target_asset_id"),
    ):
        body = integrator.live.post("/api/v1/quotes", pair(source, target), format="json").json()
        assert (body["code"], body["param"]) == ("sandbox_media_refused", param)
    batch = integrator.live.post(
        "/api/v1/jobs/batches",
        {"jobs": [pair(own, own), pair(own, IDS[Outcome.FAIL])]},
        format="json",
        HTTP_IDEMPOTENCY_KEY=uuid.uuid4().hex,
    ).json()
    assert [row["code"] for row in batch["rows"]] == ["accepted", "sandbox_media_refused"]


def test_batches_take_magic_media(integrator):
    integrator.refill()
    batch = integrator.test.post(
        "/api/v1/jobs/batches",
        {"jobs": [pair(IDS[Outcome.OK], asset_id) for asset_id in IDS.values()]},
        format="json",
        HTTP_IDEMPOTENCY_KEY=uuid.uuid4().hex,
    ).json()
    assert {row["code"] for row in batch["rows"]} == {"accepted"}


def test_nobody_may_change_magic_media(integrator):
    integrator.refill()
    integrator.job(IDS[Outcome.OK], IDS[Outcome.OK])
    path = f"/api/v1/assets/{IDS[Outcome.OK]}"
    for client in (integrator.test, integrator.live):
        assert client.delete(path).status_code == client.get(path).status_code == 404
    assert MediaAsset.objects.get(pk=IDS[Outcome.OK]).expires_at is None


def test_live_and_test_see_nothing_of_each_other(integrator):
    integrator.refill()
    test_job = integrator.job(IDS[Outcome.OK], IDS[Outcome.OK])
    live_job = factories.make_job(owner_id=integrator.user.pk)
    live_asset = live_job.quote.source_id
    assert integrator.live.get(f"/api/v1/jobs/{test_job}").status_code == 404
    assert integrator.test.get(f"/api/v1/jobs/{live_job.pk}").status_code == 404
    assert integrator.test.get(f"/api/v1/assets/{live_asset}").status_code == 404
    refused = integrator.test.post(
        "/api/v1/quotes", pair(str(live_asset), IDS[Outcome.OK]), format="json"
    )
    assert refused.json()["code"] == "asset_not_found"
    assert len(integrator.live.get("/api/v1/jobs").json()["items"]) == 1
    assert len(integrator.test.get("/api/v1/jobs").json()["items"]) == 1


def test_a_test_key_never_spends_live_tokens(integrator):
    quote = integrator.test.post(
        "/api/v1/quotes", pair(IDS[Outcome.OK], IDS[Outcome.OK]), format="json"
    ).json()
    refused = integrator.test.post(
        "/api/v1/jobs",
        {"quote_id": quote["id"]},
        format="json",
        HTTP_IDEMPOTENCY_KEY=uuid.uuid4().hex,
    )
    assert refused.json()["code"] == "insufficient_tokens"
    assert integrator.live_tokens() == LIVE_TOKENS


def test_live_work_never_takes_the_path_of_the_sandbox(integrator):
    """Even for a job that names magic media, which no request can make."""
    job = factories.make_job(owner_id=integrator.user.pk)
    claim = factories.take(job)
    assert claim.is_sandbox is False
    assert transitions.claim_of(SwapJob.objects.get(pk=job.pk)).is_sandbox is False
    integrator.refill()
    test_job = SwapJob.objects.get(pk=integrator.job(IDS[Outcome.OK], IDS[Outcome.OK]))
    assert dataclasses.asdict(factories.take(test_job))["is_sandbox"] is True


def test_no_recharge_and_no_correction_reaches_a_sandbox(integrator):
    operator = factories.make_user(role=Role.OPERATOR)
    ref = integrator.sandbox.user_ref
    receipt = recharges.create([(ref, 5), (integrator.user.user_ref, 5)], actor=operator)
    assert receipt.applied_count == 1
    assert tokens_selectors.balance(user_id=integrator.sandbox.pk).total == 0
    with pytest.raises(InvalidAdjustmentError):
        tokens_services.adjust_wallet(
            order=AdjustmentOrder(ref, 3, "why"),
            actor_id=operator.pk,
            idempotency_key=uuid.uuid4().hex,
        )


def test_a_refill_reaches_sandboxes_only(integrator):
    tokens_services.refill_sandbox(owner_id=integrator.user.pk)
    assert tokens_selectors.balance(user_id=integrator.user.pk).total == LIVE_TOKENS


def test_reports_leave_sandboxes_out_unless_one_is_named(integrator):
    integrator.refill()
    handlers.run_swap_job(job_id=integrator.job(IDS[Outcome.OK], IDS[Outcome.OK]))
    today = timezone.now().date()
    day: dict[str, Any] = {
        "first": today - dt.timedelta(days=1),
        "last": today,
        "basis": books.Basis.RECORDED,
    }
    assert books.consumption(**day) == []
    named = books.consumption(**day, owner_id=integrator.sandbox.pk)
    assert [row.charged for row in named] == [1]
    for name, of_all, of_sandbox in (("consumption", 0, 1), ("balances", 1, 1)):
        wanted = exports.ExportRequest(name=name, **day)
        assert exports.count_rows(request=wanted) == of_all
        only = dataclasses.replace(wanted, owner_id=integrator.sandbox.pk)
        assert exports.count_rows(request=only) == of_sandbox


def test_the_console_shows_what_is_a_sandbox(integrator, client):
    admin = factories.make_user(role=Role.ADMIN)
    client.force_login(admin)
    listed = client.get("/admin/accounts/user/?sandbox_of__isempty=0").content.decode()
    assert integrator.sandbox.username in listed
    page = client.get(f"/admin/accounts/user/{integrator.sandbox.pk}/change/").content.decode()
    assert integrator.user.username in page
    found = client.get("/admin/accounts/apikey/?user__sandbox_of__isempty=0").content.decode()
    assert str(integrator.test_key["last4"]) in found
    assert str(integrator.live_key["last4"]) not in found


def test_options_of_a_sandbox_are_checked_as_ever(integrator):
    quote = integrator.test.post(
        "/api/v1/quotes",
        pair(IDS[Outcome.OK], IDS[Outcome.OK]) | {"operation": "video_swap"},
        format="json",
    )
    assert quote.json()["code"] == "operation_mismatch"
