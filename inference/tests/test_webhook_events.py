"""The owner of a job is told of its end, in the words of the API, and only of its end."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts import webhook_selectors
from inference import endings, transitions
from inference.errors import JobFinishedError
from inference.models import SwapJob
from inference.tests import factories
from inference.types import StoredMedia, SwapOutput

pytestmark = pytest.mark.django_db(transaction=True)
URL = "https://receiver.example/hooks"
OUTPUT = SwapOutput(
    media=StoredMedia(
        key="results/x/1.jpg",
        sha256="0" * 64,
        content_type="image/jpeg",
        size_bytes=10,
        width_px=4,
        height_px=3,
    ),
    faces=(),
)


@pytest.fixture
def owner():
    user = factories.make_user(tokens=5)
    accounts_services.create_endpoint(user_id=user.pk, url=URL, events=["*"])
    return user


@pytest.fixture
def job(owner) -> SwapJob:
    return factories.make_job(owner_id=owner.pk)


def told(owner) -> list[tuple[str, dict[str, Any]]]:
    rows, _cursor = webhook_selectors.events(
        user_id=owner.pk, event_type=None, limit=200, cursor=None
    )
    return [(row.type, row.data) for row in reversed(rows) if row.type.startswith("job.")]


def assert_told_as_shown(owner, job, event_type: str) -> None:
    """Whatever the event says, the API says too."""
    ((kind, data),) = told(owner)
    assert kind == event_type
    client = APIClient()
    client.force_authenticate(owner)
    shown = client.get(f"/api/v1/jobs/{job.pk}").json()
    assert_part_of(data, shown)
    assert data["state"] == event_type.removeprefix("job.")


def assert_part_of(part: dict[str, Any], whole: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict):
            assert_part_of(value, whole[name])
        else:
            assert whole[name] == value, name


def test_nothing_is_told_before_the_end(owner, job):
    claim = factories.take(job)
    transitions.renew(claim=claim, stage="swap", percent=50, is_hold_due=True)
    assert told(owner) == []


def test_a_result_is_told(owner, job):
    assert transitions.finish(claim=factories.take(job), output=OUTPUT)
    assert_told_as_shown(owner, job, "job.succeeded")


def test_a_failure_is_told_with_its_code(owner, job):
    assert transitions.fail(claim=factories.take(job), code="no_face_found", detail="/srv/secret")
    assert_told_as_shown(owner, job, "job.failed")
    ((_kind, data),) = told(owner)
    assert data["error"] == {"code": "no_face_found"}
    assert data["receipt"]["refunded"] == data["receipt"]["held"]


def test_a_refused_content_is_told(owner, job):
    transitions.fail(claim=factories.take(job), code="content_blocked_source", detail="")
    assert_told_as_shown(owner, job, "job.blocked")


def test_a_cancel_is_told_once(owner, job):
    assert endings.cancel(job_id=job.pk)
    assert not endings.cancel(job_id=job.pk)
    assert_told_as_shown(owner, job, "job.canceled")


def test_a_missed_start_is_told(owner, job):
    SwapJob.objects.filter(pk=job.pk).update(
        start_deadline_at=timezone.now() - dt.timedelta(seconds=1)
    )
    assert endings.expire(job_id=job.pk)
    assert_told_as_shown(owner, job, "job.expired")


def test_a_late_result_is_told_as_the_failure_that_it_is(owner, job):
    claim = factories.take(job)
    factories.close_hold(job)
    assert not transitions.finish(claim=claim, output=OUTPUT)
    assert_told_as_shown(owner, job, "job.failed")


def test_a_cancel_and_a_finish_at_once_are_told_as_one_of_them(owner, job):
    claim = factories.take(job)
    start = threading.Barrier(2)

    def run(ending) -> None:
        start.wait()
        try:
            ending()
        except JobFinishedError:
            pass
        finally:
            connection.close()

    endings_at_once = (
        lambda: endings.cancel(job_id=job.pk),
        lambda: transitions.finish(claim=claim, output=OUTPUT),
    )
    threads = [threading.Thread(target=run, args=(ending,)) for ending in endings_at_once]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    job.refresh_from_db()
    assert_told_as_shown(owner, job, f"job.{job.status.lower()}")


def test_who_does_not_listen_is_told_nothing():
    user = factories.make_user(tokens=5)
    job = factories.make_job(owner_id=user.pk)
    assert transitions.finish(claim=factories.take(job), output=OUTPUT)
    assert told(user) == []
