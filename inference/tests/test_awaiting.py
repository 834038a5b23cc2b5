"""Jobs whose uploads are announced but not here yet, from the announcement to the end."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from inference import awaiting, handlers, services, tasks, transitions
from inference.job_errors import InputsMissingError
from inference.models import MediaAsset, SwapJob
from inference.tests import factories
from inference.tests.test_presigned import announce, complete, send

pytestmark = pytest.mark.django_db
URL = "/api/v1/jobs"
Status = SwapJob.Status


@pytest.fixture
def user(db):
    return factories.make_user(tokens=10)


@pytest.fixture
def client(client_of, user):
    return client_of(user)


def priced(client, user, target_id: str, **changes):
    body = {
        "operation": "image_swap",
        "source_asset_id": str(factories.make_asset(owner_id=user.pk).pk),
        "target_asset_id": target_id,
        **changes,
    }
    return client.post("/api/v1/quotes", body, format="json")


def submitted(client, user, target_id: str, **body) -> SwapJob:
    quote = priced(client, user, target_id)
    assert quote.status_code == 201, quote.data
    answer = client.post(
        URL,
        {"quote_id": quote.data["id"], **body},
        format="json",
        headers={"idempotency-key": uuid.uuid4().hex},
    )
    assert (answer.status_code, answer.data["state"]) == (202, "awaiting_input"), answer.data
    assert answer.data["receipt"]["held"] == 1
    return SwapJob.objects.get(pk=answer.data["id"])


@pytest.mark.usefixtures("fast_swap")
def test_the_job_goes_on_as_soon_as_its_upload_is_complete(
    client, user, monkeypatch, django_capture_on_commit_callbacks
):
    sent = []
    monkeypatch.setattr(
        tasks.run_swap_job, "apply_async", lambda kwargs, **_: sent.append(kwargs["job_id"])
    )
    opened = announce(client)
    with django_capture_on_commit_callbacks(execute=True):
        job = submitted(client, user, opened["id"])
    assert sent == []
    assert transitions.claim(job_id=job.pk) is None, "nothing to run yet"

    send(client, opened)
    client.force_authenticate(user)
    with django_capture_on_commit_callbacks(execute=True):
        assert complete(client, opened).status_code == 200

    job.refresh_from_db()
    assert (job.status, sent) == (Status.QUEUED, [str(job.pk)])
    handlers.run_swap_job(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == Status.SUCCEEDED
    assert factories.books(job).kinds == ("hold", "settle")


def test_the_sweep_finds_what_nobody_told(client, user):
    opened = announce(client)
    job = submitted(client, user, opened["id"])
    ready = factories.make_asset(owner_id=user.pk)
    assert handlers.requeue_stale_jobs().to_send == ()
    # As if the process had died right after the upload was complete.
    type(job.quote).objects.filter(pk=job.quote_id).update(target=ready)

    assert handlers.requeue_stale_jobs().to_send == (job.pk,)


def test_a_waiting_job_can_be_canceled(client, user):
    job = submitted(client, user, announce(client)["id"])

    answer = client.post(f"{URL}/{job.pk}/cancel")

    assert (answer.data["state"], answer.data["receipt"]["refunded"]) == ("canceled", 1)


def test_a_waiting_job_expires_at_its_start_deadline(client, user):
    job = submitted(client, user, announce(client)["id"], start_deadline_s=60)
    SwapJob.objects.update(start_deadline_at=timezone.now() - dt.timedelta(seconds=1))

    assert handlers.requeue_stale_jobs().failed == (job.pk,)

    said = client.get(f"{URL}/{job.pk}").data
    assert (said["state"], said["error"]["code"]) == ("expired", "start_deadline_passed")


def test_an_upload_that_never_comes_ends_the_job(client, user):
    job = submitted(client, user, announce(client)["id"])
    SwapJob.objects.update(queued_at=timezone.now() - dt.timedelta(days=1))

    handlers.requeue_stale_jobs()

    said = client.get(f"{URL}/{job.pk}").data
    assert (said["state"], said["error"]["code"]) == ("expired", "input_timeout")
    assert said["receipt"]["refunded"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "DELETED", "deleted_at": timezone.now()}, "input_deleted"),
        ({"kind": "VIDEO", "duration_ms": 9000, "fps": 25, "frames_count": 225}, "input_mismatch"),
    ],
    ids=["deleted", "a video after all"],
)
def test_an_upload_that_is_not_as_promised_ends_the_job(client, user, change, code):
    job = submitted(client, user, announce(client)["id"])
    ready = {"status": "READY", "width_px": 4, "height_px": 3, "sha256": "0" * 64}
    MediaAsset.objects.filter(pk=job.quote.target_id).update(**(ready | change))

    assert awaiting.over_job_ids(limit=10) == [job.pk]
    assert awaiting.resolve(job_id=job.pk) == ()

    said = client.get(f"{URL}/{job.pk}").data
    assert (said["state"], said["error"]["code"]) == ("failed", code)
    assert said["receipt"]["refunded"] == 1


def test_a_video_has_no_price_before_it_is_here(client, user):
    opened = announce(client, filename="later.mp4", content_type="video/mp4")

    answer = priced(client, user, opened["id"], operation="video_swap")

    assert (answer.status_code, answer.data["code"]) == (409, "inputs_missing")


def test_operators_cannot_run_a_job_without_its_inputs(client, user):
    job = submitted(client, user, announce(client)["id"])

    with pytest.raises(InputsMissingError):
        services.requeue_swap_job(job_id=job.pk, actor_id=user.pk)
