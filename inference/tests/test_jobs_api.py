"""Reading jobs: their JSON, lists, polling, results, and who may see them."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import uuid

import pytest
from django.utils import timezone
from PIL import Image

from accounts.types import Role
from inference import handlers, services, transitions
from inference.models import SwapJob
from inference.tests import factories

pytestmark = pytest.mark.django_db
URL = "/api/v1/jobs"


@pytest.fixture
def user(db):
    return factories.make_user(tokens=50)


@pytest.fixture
def client(client_of, user):
    return client_of(user)


def finished_job(user) -> SwapJob:
    job = factories.make_job(owner_id=user.pk)
    handlers.run_swap_job(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == SwapJob.Status.SUCCEEDED
    return job


@pytest.mark.usefixtures("fast_swap")
def test_succeeded_job_shows_output_faces_and_receipt(client, user):
    job = finished_job(user)

    data = client.get(f"{URL}/{job.pk}").data

    assert data["state"] == "succeeded"
    assert data["operation"] == "image_swap"
    assert data["quote_id"] == str(job.quote_id)
    assert data["progress"] == factories.shown_progress(stage="publish", percent=100)
    assert data["error"] is None
    assert data["output"] == {
        "url": f"http://testserver{URL}/{job.pk}/result",
        "sha256": job.result_sha256,
        "width": 64,
        "height": 48,
        "bytes": job.result_size_bytes,
        "content_type": "image/jpeg",
        "duration_ms": None,
    }
    assert data["faces"] == [
        {
            "box_xyxy": [1.0, 2.0, 30.0, 40.0],
            "similarity_before": 0.1,
            "similarity_after": 0.7,
        }
    ]
    receipt = data["receipt"]
    transfers = receipt.pop("transfers")
    assert receipt.pop("price")["multiplier"] == 1.0
    assert receipt == {"quoted": 1, "held": 1, "settled": 1, "refunded": 0}
    assert [(row["kind"], row["tokens"], row["available_change"]) for row in transfers] == [
        ("hold", 1, -1),
        ("settle", 1, 0),
    ]
    assert data["started_at"] is not None
    assert data["finished_at"] is not None


def test_failed_job_names_its_error_and_its_refund(client, user):
    job = factories.make_job(owner_id=user.pk)
    claim = factories.take(job)
    transitions.fail(claim=claim, code="no_face_in_source", detail="/srv/media/x.jpg has no face")

    data = client.get(f"{URL}/{job.pk}").data

    assert data["state"] == "failed"
    assert data["error"]["code"] == "no_face_in_source"
    assert "/srv" not in data["error"]["detail"]
    assert data["output"] is None
    assert (data["receipt"]["settled"], data["receipt"]["refunded"]) == (0, 1)
    assert [row["kind"] for row in data["receipt"]["transfers"]] == ["hold", "release"]


def test_polling_costs_two_queries_and_answers_304_while_nothing_changes(
    client, user, django_assert_num_queries
):
    job = factories.make_job(owner_id=user.pk)
    claim = factories.take(job)

    with django_assert_num_queries(2):  # the job with its quote, the hold with its transfers
        first = client.get(f"{URL}/{job.pk}")
    etag = first.headers["ETag"]
    same = client.get(f"{URL}/{job.pk}", headers={"if-none-match": etag})
    transitions.renew(claim=claim, stage="swap", percent=50, is_hold_due=False)
    moved = client.get(f"{URL}/{job.pk}", headers={"if-none-match": etag})

    assert first.headers["Retry-After"] == "1"
    assert (same.status_code, same.content) == (304, b"")
    assert (moved.status_code, moved.data["progress"]) == (
        200,
        factories.shown_progress(stage="swap", percent=50),
    )
    assert moved.headers["ETag"] != etag


@pytest.mark.usefixtures("fast_swap")
def test_polling_hint_ends_with_the_job(client, user):
    assert "Retry-After" not in client.get(f"{URL}/{finished_job(user).pk}").headers


@pytest.mark.usefixtures("fast_swap")
@pytest.mark.parametrize("accept", ["*/*", "image/jpeg", "image/*", "application/json", None])
def test_result_is_downloadable_by_its_owner(client, user, accept):
    job = finished_job(user)
    headers = {} if accept is None else {"accept": accept}

    answer = client.get(f"{URL}/{job.pk}/result", headers=headers)

    body = b"".join(answer.streaming_content)
    assert answer.status_code == 200
    assert hashlib.sha256(body).hexdigest() == job.result_sha256
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="swap-{job.pk}.jpg"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"


@pytest.mark.usefixtures("fast_swap")
def test_thumbnail_is_a_small_jpeg(client, client_of, user):
    user_asset = factories.picture(width=800, height=400)
    job = factories.make_job(owner_id=user.pk, target=user_asset)
    handlers.run_swap_job(job_id=job.pk)

    answer = client.get(f"{URL}/{job.pk}/thumbnail")

    assert Image.open(io.BytesIO(b"".join(answer.streaming_content))).size == (320, 160)
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert client_of(factories.make_user()).get(f"{URL}/{job.pk}/thumbnail").status_code == 404


@pytest.mark.parametrize("path", ["result", "thumbnail"])
def test_unfinished_job_has_no_result_yet(client, user, path):
    job = factories.make_job(owner_id=user.pk)

    answer = client.get(f"{URL}/{job.pk}/{path}")

    assert (answer.status_code, answer.data["code"]) == (409, "job_not_finished")
    assert answer.data["retryable"] is True
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("path", ["result", "thumbnail"])
def test_failed_job_never_has_a_result(client, user, path):
    job = factories.make_job(owner_id=user.pk)
    services.stop_swap_job(job_id=job.pk, actor_id=user.pk)

    answer = client.get(f"{URL}/{job.pk}/{path}", headers={"accept": "image/jpeg"})

    assert (answer.status_code, answer.data["code"]) == (410, "job_failed")
    assert answer.data["error_code"] == "stopped_by_operator"
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.usefixtures("fast_swap")
@pytest.mark.parametrize("role", [Role.USER, Role.OPERATOR])
@pytest.mark.parametrize("path", ["", "/result", "/thumbnail"])
def test_somebody_elses_job_does_not_exist(client_of, user, path, role):
    job = finished_job(user)

    answer = client_of(factories.make_user(role=role)).get(f"{URL}/{job.pk}{path}")

    assert (answer.status_code, answer.data["code"]) == (404, "job_not_found")


def test_unknown_job_looks_like_somebody_elses(client):
    answer = client.get(f"{URL}/{uuid.uuid4()}")

    assert (answer.status_code, answer.data["code"]) == (404, "job_not_found")


@pytest.mark.parametrize("jobs_count", [1, 6])
def test_list_costs_two_queries_whatever_its_length(
    client, user, jobs_count, django_assert_num_queries
):
    expected = [str(factories.make_job(owner_id=user.pk).pk) for _ in range(jobs_count)]
    factories.make_job(owner_id=factories.make_user(tokens=1).pk)

    with django_assert_num_queries(2):  # the jobs with their quotes, the holds with their transfers
        answer = client.get(URL)

    assert sorted(item["id"] for item in answer.data["items"]) == sorted(expected)
    assert all(item["receipt"]["held"] == 1 for item in answer.data["items"])
    assert answer.data["next_cursor"] is None


def test_list_can_be_narrowed_to_a_state_and_paged(client, user):
    jobs = [factories.make_job(owner_id=user.pk) for _ in range(5)]
    for job in jobs[:3]:
        services.stop_swap_job(job_id=job.pk, actor_id=user.pk)

    seen, cursor = [], None
    for _page in range(2):
        query = {"state": "failed", "limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = client.get(URL, query)
        seen += [item["id"] for item in answer.data["items"]]
        cursor = answer.data["next_cursor"]

    assert sorted(seen) == sorted(str(job.pk) for job in jobs[:3])
    assert cursor is None
    assert len(client.get(URL, {"state": "queued"}).data["items"]) == 2


def test_list_can_be_narrowed_by_operation_and_time(client, user):
    jobs = [factories.make_job(owner_id=user.pk) for _ in range(3)]
    hours = [dt.timedelta(hours=hour) for hour in (3, 2, 1)]
    now = timezone.now()
    for job, ago in zip(jobs, hours, strict=True):
        SwapJob.objects.filter(pk=job.pk).update(created_at=now - ago)

    def listed(**query) -> list[str]:
        return [item["id"] for item in client.get(URL, query).data["items"]]

    assert listed(created_from=(now - hours[1]).isoformat()) == [str(jobs[2].pk), str(jobs[1].pk)]
    assert listed(created_to=(now - hours[1]).isoformat()) == [str(jobs[1].pk), str(jobs[0].pk)]
    assert len(listed(operation="image_swap")) == 3
    assert listed(operation="video_swap") == []
    assert listed(batch_id=str(uuid.uuid4())) == []


@pytest.mark.parametrize(
    "query",
    [
        {"state": "lost"},
        {"state": "QUEUED"},
        {"limit": 0},
        {"batch_id": "x"},
        {"created_from": "x"},
        {"operation": "x"},
    ],
)
def test_wrong_query_is_refused(client, query):
    answer = client.get(URL, query)

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", URL),
        ("post", URL),
        ("get", f"{URL}/{uuid.UUID(int=7)}"),
        ("get", f"{URL}/{uuid.UUID(int=7)}/result"),
        ("post", "/api/v1/quotes"),
        ("get", f"/api/v1/quotes/{uuid.UUID(int=7)}"),
        ("get", "/api/v1/assets"),
        ("post", "/api/v1/assets"),
    ],
)
def test_anonymous_caller_is_sent_to_sign_in(client_of, method, path):
    answer = getattr(client_of(None), method)(path)

    assert (answer.status_code, answer.data["code"]) == (401, "not_authenticated")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_do_not_exist(client, user, method):
    job = factories.make_job(owner_id=user.pk)

    answer = getattr(client, method)(f"{URL}/{job.pk}")

    assert (answer.status_code, answer.data["code"]) == (405, "method_not_allowed")
