from __future__ import annotations

import datetime as dt

import pytest

from inference import job_reports
from inference.models import JobDay, SwapJob
from inference.tests.factories import make_job, make_user

pytestmark = pytest.mark.django_db(transaction=True)

NOON = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def ended(owner, at, *, status="SUCCEEDED", waited_s=1.0, ran_s=2.0):
    """A job that ended at that moment, as a worker would have left it."""
    job = make_job(owner_id=owner.pk)
    started = at - dt.timedelta(seconds=ran_s)
    result = {
        "result_key": "results/x",
        "result_sha256": "0" * 64,
        "result_content_type": "image/png",
        "result_size_bytes": 1,
        "result_width_px": 1,
        "result_height_px": 1,
        "progress_percent": 100,
    }
    failure = {"error_code": "no_face_found"}
    SwapJob.objects.filter(pk=job.pk).update(
        status=status,
        attempt=1,
        queued_at=started - dt.timedelta(seconds=waited_s),
        started_at=started,
        finished_at=at,
        **(result if status == "SUCCEEDED" else failure),
    )
    return job


def counts():
    return {(row.day, row.status): row.jobs_count for row in JobDay.objects.all()}


def test_jobs_are_counted_by_the_day_of_their_end_without_sandboxes():
    user = make_user(tokens=100)
    sandbox = make_user(tokens=100)
    sandbox.sandbox_of = user
    sandbox.save()
    ended(user, NOON)
    ended(user, NOON + DAY / 2 - dt.timedelta(microseconds=1))
    ended(user, NOON + DAY / 2)
    ended(user, NOON, status="FAILED")
    ended(sandbox, NOON)
    make_job(owner_id=user.pk)
    assert job_reports.count_days() == 3
    tenth, eleventh = NOON.date(), NOON.date() + DAY
    assert counts() == {
        (tenth, "SUCCEEDED"): 2,
        (tenth, "FAILED"): 1,
        (eleventh, "SUCCEEDED"): 1,
    }
    assert job_reports.ended_by_day(first=eleventh, last=eleventh) == {eleventh: {"SUCCEEDED": 1}}
    assert job_reports.open_by_status() == {"AWAITING_INPUT": 0, "QUEUED": 1, "RUNNING": 0}


def test_an_end_that_is_committed_after_midnight_is_not_lost():
    user = make_user(tokens=100)
    ended(user, NOON)
    job_reports.count_days()
    ended(user, NOON + DAY)
    job_reports.count_days()
    # Both days are counted; now an end of the first one is committed.
    ended(user, NOON, status="FAILED")
    job_reports.count_days()
    whole = counts()
    assert whole[NOON.date(), "FAILED"] == 1
    JobDay.objects.all().delete()
    job_reports.count_days()
    assert counts() == whole


def test_nothing_ended_is_nothing_to_count():
    assert job_reports.count_days() == 0
    latency = job_reports.latency(since=NOON)
    assert (latency.jobs, latency.wait_p50_s, latency.run_p95_s) == (0, None, None)


def test_latency_is_that_of_the_last_jobs_that_succeeded():
    user = make_user(tokens=100)
    for seconds in range(5):
        ended(user, NOON, waited_s=seconds, ran_s=10 * seconds)
    ended(user, NOON, status="FAILED", waited_s=999)
    ended(user, NOON - 2 * DAY, waited_s=999)
    latency = job_reports.latency(since=NOON - DAY)
    assert latency.jobs == 5
    assert (latency.wait_p50_s, latency.run_p50_s) == (2, 20)
    assert latency.wait_p95_s == pytest.approx(3.8)
    assert latency.run_p95_s == pytest.approx(38)
