"""The Python client against the live server."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import facefusion_platform_client as sdk
import pytest

from accounts.types import Role
from inference.tests import factories
from tests.client.conftest import SAMPLES, ClientOf
from tests.workers import Workers

pytestmark = pytest.mark.django_db(transaction=True)


def quote(client: sdk.Client) -> sdk.Quote:
    """For two pictures without a face."""
    folder = SAMPLES
    asset = client.assets.upload(folder / "coffee.png")
    return client.quotes.create(source_asset_id=asset.id, target_asset_id=asset.id)


def test_from_two_files_to_a_checked_result(client_of: ClientOf, worker: Workers, tmp_path: Path):
    client = client_of(tokens=5)
    source = client.assets.upload(SAMPLES / "astronaut.png")
    target = client.assets.upload_large(SAMPLES / "grace_hopper.jpg")
    assert (source.kind, target.kind, target.state) == ("image", "image", "ready")
    assert {asset.id for asset in client.assets.list()} == {source.id, target.id}
    assert client.assets.get(target.id) == target

    price = client.quotes.create(source_asset_id=source.id, target_asset_id=target.id)
    assert (price.tokens, price.balance.after, price.affordable) == (1, 4, True)
    assert client.prices.now().multiplier == price.price.multiplier == 1
    ordinary = {(row.operation, row.unit_tokens) for row in client.prices.now().prices}
    assert ("image_swap", 1) in ordinary
    assert list(client.prices.history()) == []
    job = client.jobs.create(price.id, idempotency_key="order-1")
    assert client.jobs.create(price.id, idempotency_key="order-1").id == job.id

    seen: list[sdk.JobEvent] = []
    job = client.jobs.wait(job.id, timeout_s=120, on_progress=seen.append).require_success()
    assert seen[-1].is_last, worker.logs()
    assert seen[-1].state == job.state == "succeeded"

    result = client.jobs.download(job, tmp_path / "result.jpg")
    assert job.output is not None
    assert hashlib.sha256(result.read_bytes()).hexdigest() == job.output.sha256
    assert (job.receipt.settled, job.receipt.price) == (1, price.price)
    assert [transfer.kind for transfer in job.receipt.transfers] == ["hold", "settle"]
    assert client.wallet.balance() == sdk.Balance(available=4, held=0, total=4)
    assert [line.kind for line in client.wallet.statement()] == ["settle", "hold", "recharge"]
    client.jobs.delete_result(job.id)
    with pytest.raises(sdk.GoneError):
        client.jobs.download(job, tmp_path / "again.jpg")
    assert sorted(path.name for path in tmp_path.glob("*.jpg*")) == ["result.jpg"]


def test_a_job_without_a_face_ends_as_a_typed_error(
    client_of: ClientOf, worker: Workers, tmp_path: Path
):
    client = client_of(tokens=1)
    job = client.jobs.wait(client.jobs.create(quote(client).id).id, timeout_s=120)
    with pytest.raises(sdk.JobEndedError) as caught:
        client.jobs.download(job, tmp_path / "nothing.jpg")
    assert (caught.value.state, caught.value.code) == ("failed", "no_face_in_source"), worker.logs()
    again = client.jobs.retry(job.id)
    assert (again.retry_of, again.state) == (job.id, "queued")


def test_waiting_ends_with_the_patience_and_canceling_gives_tokens_back(client_of: ClientOf):
    client = client_of(tokens=1)
    job = client.jobs.create(quote(client).id, start_deadline_s=600)
    with pytest.raises(sdk.WaitTimeoutError):
        client.jobs.wait(job.id, timeout_s=1.0)
    job = client.jobs.cancel(job.id)
    assert (job.state, job.receipt.refunded) == ("canceled", 1)
    assert client.jobs.cancel(job.id).state == "canceled"
    assert [it.id for it in client.jobs.list(state="canceled")] == [job.id]
    assert list(client.jobs.list(state="failed")) == []


def test_refusals_are_typed_and_speak_the_language(client_of: ClientOf):
    client = client_of(language="zh-hans")
    price = quote(client)
    assert not price.affordable
    with pytest.raises(sdk.InsufficientTokensError) as caught:
        client.jobs.create(price.id)
    error = caught.value
    assert (error.status, error.code, error.retryable) == (402, "insufficient_tokens", False)
    assert (error.charged_tokens, error.body["needed"], error.body["available"]) == (0, 1, 0)
    assert error.request_id
    assert error.detail.startswith("需要 1 点")

    with pytest.raises(sdk.NotFoundError):
        client.jobs.get(str(uuid.uuid4()))
    with pytest.raises(sdk.InvalidRequestError) as wrong:
        client.quotes.create(source_asset_id="no id", target_asset_id=price.target_asset_id)
    assert [fault["pointer"] for fault in wrong.value.errors] == ["#/source_asset_id"]
    with pytest.raises(sdk.PermissionDeniedError):
        client.recharges.create(reason="mine", users=["me"], amount=1)


def test_a_wrong_key_is_not_authenticated(live_server):
    with (
        sdk.Client(f"{live_server.url}/api/v1/", "ffk_live_nonsense") as client,
        pytest.raises(sdk.NotAuthenticatedError),
    ):
        client.wallet.balance()


def test_batches_of_jobs(client_of: ClientOf):
    client = client_of(tokens=10)
    asset = client.assets.upload(SAMPLES / "coffee.png")
    good = {
        "operation": "image_swap",
        "source_asset_id": asset.id,
        "target_asset_id": asset.id,
    }
    unknown = good | {"target_asset_id": str(uuid.uuid4())}
    batch = client.jobs.create_batch([good, unknown, good], idempotency_key="batch-1")
    assert [row.code for row in batch.rows] == ["accepted", "asset_not_found", "accepted"]
    assert (batch.accepted_count, batch.refused_count, batch.receipt.held) == (2, 1, 2)
    assert client.jobs.get_batch(batch.id).id == batch.id
    assert len(list(client.jobs.list(batch_id=batch.id))) == 2
    assert client.jobs.cancel_batch(batch.id).states["canceled"] == 2
    with pytest.raises(sdk.InvalidRequestError):
        client.jobs.create_batch([good, unknown], mode="atomic")
    assert client.wallet.balance().available == 10


def test_recharges_with_failures_retries_and_a_reversal(client_of: ClientOf):
    operator = client_of(role=Role.OPERATOR)
    known = [factories.make_user().user_ref for _ in range(2)]
    wanted: dict[str, Any] = {"users": [*known, "nobody"], "amount": 100, "reason": "June"}

    preview = operator.recharges.preview(**wanted)
    assert (preview.applied_count, preview.failed_users) == (2, ["nobody"])
    batch = operator.recharges.create(**wanted, idempotency_key="june-1")
    assert operator.recharges.create(**wanted, idempotency_key="june-1").id == batch.id
    assert (batch.status, batch.applied_count, batch.tokens_total) == ("partially_applied", 2, 200)
    (failure,) = operator.recharges.failures(batch.id)
    assert (failure.row_no, failure.user, failure.code) == (3, "nobody", "account_not_found")
    assert [line.user for line in operator.recharges.lines(batch.id)] == [*known, "nobody"]
    assert operator.recharges.wait(batch.id, timeout_s=5).has_ended

    retried = operator.recharges.retry_failed(batch.id)
    assert (retried.retry_of, retried.failed_users) == (batch.id, ["nobody"])
    reversal = operator.recharges.reverse(batch.id, reason="a mistake", rows=[1])
    assert (reversal.reversal_of, reversal.tokens_total) == (batch.id, 100)
    assert batch.id in {it.id for it in operator.recharges.list()}

    with pytest.raises(sdk.InvalidRequestError) as caught:
        operator.recharges.create(**wanted, mode="atomic")
    assert "account_not_found" in {fault["code"] for fault in caught.value.errors}
