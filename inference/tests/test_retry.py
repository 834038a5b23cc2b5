"""Another try of a job that came to nothing, and the end of a result's bytes."""

from __future__ import annotations

import uuid

import pytest

from inference import handlers, services, storage, transitions
from inference.models import SwapJob, SwapQuote
from inference.services.quotes import quote_again
from inference.tests import factories

pytestmark = pytest.mark.django_db
URL = "/api/v1/jobs"


@pytest.fixture
def user(db):
    return factories.make_user(tokens=50)


@pytest.fixture
def client(client_of, user):
    return client_of(user)


@pytest.fixture
def canceled(user) -> SwapJob:
    job = factories.make_job(owner_id=user.pk)
    services.cancel_swap_job(owner_id=user.pk, job_id=job.pk)
    return job


def retry(client, job, key="retry-1", **body):
    headers = {"idempotency-key": key} if key else {}
    return client.post(f"{URL}/{job.pk}/retry", body, format="json", headers=headers)


def test_retry_is_a_new_job_at_the_price_of_now(client, canceled, settings):
    settings.TOKENS_PRICE_IMAGE = 7

    answer = retry(client, canceled)

    assert answer.status_code == 202, answer.data
    said = answer.data
    assert (said["retry_of"], said["state"]) == (str(canceled.pk), "queued")
    assert answer.headers["Location"] == f"{URL}/{said['id']}"
    assert said["source_asset_id"] == str(canceled.quote.source_id)
    assert (said["receipt"]["quoted"], said["receipt"]["held"]) == (7, 7)


def test_repeat_of_a_retry_answers_the_same_job(client, canceled):
    first = retry(client, canceled)

    again = retry(client, canceled)

    assert again.data["id"] == first.data["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert SwapJob.objects.filter(retry_of=canceled).count() == 1
    other = retry(client, canceled, quote_id=str(uuid.uuid4()))
    assert (other.status_code, other.data["code"]) == (422, "idempotency_key_reused")


def test_retry_at_the_price_of_a_quote(client, canceled, settings):
    quote = quote_again(quote=canceled.quote)
    settings.TOKENS_PRICE_IMAGE = 9

    answer = retry(client, canceled, quote_id=str(quote.pk))

    assert (answer.data["quote_id"], answer.data["receipt"]["held"]) == (str(quote.pk), 1)


def test_quote_of_other_uploads_is_refused(client, user, canceled):
    quote = factories.make_quote(owner_id=user.pk)

    answer = retry(client, canceled, quote_id=str(quote.pk))

    assert (answer.status_code, answer.data["code"]) == (422, "quote_mismatch")
    assert SwapJob.objects.count() == 1


@pytest.mark.usefixtures("fast_swap")
def test_only_what_came_to_nothing_is_retried(client, user):
    queued = factories.make_job(owner_id=user.pk)
    done = factories.make_job(owner_id=user.pk)
    handlers.run_swap_job(job_id=done.pk)
    blocked = factories.make_job(owner_id=user.pk)
    claim = factories.take(blocked)
    transitions.fail(claim=claim, code="content_blocked_in_source", detail="")

    answers = [retry(client, job, key=str(job.pk)) for job in (queued, done, blocked)]

    assert {answer.data["code"] for answer in answers} == {"job_not_retryable"}
    assert [answer.data["state"] for answer in answers] == ["queued", "succeeded", "blocked"]


def test_retry_needs_a_key_tokens_and_the_owner(client, client_of, canceled, settings):
    assert retry(client, canceled, key=None).data["code"] == "idempotency_key_missing"
    assert retry(client_of(factories.make_user()), canceled).data["code"] == "job_not_found"
    settings.TOKENS_PRICE_IMAGE = 51
    quotes_count = SwapQuote.objects.count()
    assert retry(client, canceled).data["code"] == "insufficient_tokens"
    assert (SwapJob.objects.count(), SwapQuote.objects.count()) == (1, quotes_count)


@pytest.mark.usefixtures("fast_swap")
def test_deleted_result_is_gone_at_once_and_its_receipt_stays(client, user, media_root):
    job = factories.make_job(owner_id=user.pk)
    handlers.run_swap_job(job_id=job.pk)
    before = client.get(f"{URL}/{job.pk}").data

    answers = [client.delete(f"{URL}/{job.pk}/result") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert [path for path in (media_root / "results").rglob("*") if path.is_file()] == []
    after = client.get(f"{URL}/{job.pk}").data
    assert (after["state"], after["output"]) == ("succeeded", None)
    assert after["result_deleted_at"] is not None
    assert after["receipt"] == before["receipt"]
    for path in ("result", "thumbnail"):
        answer = client.get(f"{URL}/{job.pk}/{path}")
        assert (answer.status_code, answer.data["code"]) == (410, "result_deleted")


@pytest.mark.usefixtures("fast_swap")
def test_storage_that_does_not_answer_hides_the_result_and_is_asked_again(
    client, user, media_root, monkeypatch
):
    job = factories.make_job(owner_id=user.pk)
    handlers.run_swap_job(job_id=job.pk)
    real = storage.delete_results

    def away(**_):
        raise OSError("away")

    monkeypatch.setattr(storage, "delete_results", away)
    answer = client.delete(f"{URL}/{job.pk}/result")
    assert (answer.status_code, answer.data["code"]) == (503, "service_unavailable")
    assert client.get(f"{URL}/{job.pk}").data["output"] is None
    monkeypatch.setattr(storage, "delete_results", real)

    assert client.delete(f"{URL}/{job.pk}/result").status_code == 204
    assert [path for path in (media_root / "results").rglob("*") if path.is_file()] == []


def test_there_must_be_a_result_to_delete(client, client_of, user, canceled):
    queued = factories.make_job(owner_id=user.pk)

    answers = [client.delete(f"{URL}/{job.pk}/result") for job in (queued, canceled)]
    foreign = client_of(factories.make_user()).delete(f"{URL}/{queued.pk}/result")

    assert [answer.data["code"] for answer in answers] == ["job_not_finished", "job_canceled"]
    assert foreign.data["code"] == "job_not_found"
