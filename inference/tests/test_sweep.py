"""The sweep: what a crash or a lost message left behind."""

from __future__ import annotations

import datetime as dt
import threading
import uuid

import pytest
from django.db import connection, transaction
from django.utils import timezone

from inference import handlers, tasks, transitions
from inference.models import SwapJob
from inference.tests import factories

Status = SwapJob.Status


def make_job() -> SwapJob:
    return factories.make_job(owner_id=factories.make_user(tokens=1).pk)


def age(job: SwapJob, **seconds: float) -> None:
    """Move the named times of a job into the past."""
    now = timezone.now()
    SwapJob.objects.filter(pk=job.pk).update(
        **{name: now - dt.timedelta(seconds=value) for name, value in seconds.items()}
    )


@pytest.mark.django_db
def test_fresh_jobs_are_left_alone(django_assert_num_queries):
    queued, running = make_job(), make_job()
    factories.take(running)

    with django_assert_num_queries(13):  # looks at jobs, at segments and at accounts, savepoints
        report = handlers.requeue_stale_jobs()

    assert (report.to_send, report.failed) == ((), ())
    assert SwapJob.objects.get(pk=queued.pk).status == Status.QUEUED


@pytest.mark.django_db
def test_lapsed_lease_goes_back_into_the_queue():
    job = make_job()
    stale = factories.take(job)
    factories.lapse_lease(job.pk)

    report = handlers.requeue_stale_jobs()

    assert report.to_send == (job.pk,)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.lease_expires_at) == (Status.QUEUED, 1, None)
    assert not transitions.renew(claim=stale, stage="swap", percent=1, is_hold_due=False)
    assert handlers.requeue_stale_jobs().to_send == (), "sent once"


@pytest.mark.django_db
def test_lapsed_last_attempt_is_refunded_and_cleaned(settings, media_root):
    settings.JOB_ATTEMPTS_MAX = 1
    job = make_job()
    factories.take(job)
    left_over = media_root / f"results/{job.pk.hex[:2]}/{job.pk}/1.jpg"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"half a picture")
    factories.lapse_lease(job.pk)

    report = handlers.requeue_stale_jobs()

    assert (report.to_send, report.failed) == ((), (job.pk,))
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "worker_lost")
    assert factories.books(job).kinds == ("hold", "release")
    assert not left_over.exists()


@pytest.mark.django_db
def test_lost_message_is_sent_again_once_per_interval(settings):
    settings.JOB_LEASE_S = 60
    job = make_job()
    age(job, sent_at=121)

    assert handlers.requeue_stale_jobs().to_send == (job.pk,)
    assert handlers.requeue_stale_jobs().to_send == ()
    age(job, sent_at=121)
    assert handlers.requeue_stale_jobs().to_send == (job.pk,)


@pytest.mark.django_db
def test_job_that_nobody_took_is_refunded_before_its_hold_is_forgotten(settings):
    settings.HOLD_TTL_S = 3600
    job = make_job()
    age(job, sent_at=3601, queued_at=3601)

    report = handlers.requeue_stale_jobs()

    assert (report.to_send, report.failed) == ((), (job.pk,))
    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "queue_timeout")
    assert factories.books(job).kinds == ("hold", "release")


@pytest.mark.django_db
def test_one_run_takes_a_bounded_number_the_longest_waiting_first():
    jobs = [make_job() for _ in range(3)]
    for index, job in enumerate(jobs):
        age(job, sent_at=1000 - index)

    assert handlers.requeue_stale_jobs(limit=2).to_send == (jobs[0].pk, jobs[1].pk)
    assert handlers.requeue_stale_jobs(limit=2).to_send == (jobs[2].pk,)


@pytest.mark.django_db
def test_task_sends_what_the_sweep_found(monkeypatch):
    sent = []
    monkeypatch.setattr(
        tasks.run_swap_job, "apply_async", lambda kwargs: sent.append(kwargs["job_id"])
    )
    job = make_job()
    age(job, sent_at=1000)

    tasks.requeue_stale_jobs()

    assert sent == [str(job.pk)]


@pytest.mark.django_db(transaction=True)
def test_rows_that_others_work_on_are_skipped_not_waited_for(settings):
    settings.JOB_ATTEMPTS_MAX = 1
    running, queued, overlong = make_job(), make_job(), make_job()
    factories.take(running)
    factories.lapse_lease(running.pk)
    age(queued, sent_at=1000)
    age(overlong, sent_at=1000, queued_at=100_000)
    reports = []

    def sweep() -> None:
        try:
            reports.append(handlers.requeue_stale_jobs())
        finally:
            connection.close()

    with transaction.atomic():
        list(SwapJob.objects.select_for_update().order_by("pk"))
        thread = threading.Thread(target=sweep)
        thread.start()
        thread.join(timeout=20)
        assert not thread.is_alive(), "the sweep waits for a lock"

    assert (reports[0].to_send, reports[0].failed) == ((), ())
    later = handlers.requeue_stale_jobs()
    assert set(later.failed) == {running.pk, overlong.pk}
    assert later.to_send == (queued.pk,)


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_send_each_job_once():
    jobs = [make_job() for _ in range(6)]
    for job in jobs[:3]:
        factories.take(job)
        factories.lapse_lease(job.pk)
    for job in jobs[3:]:
        age(job, sent_at=1000)
    barrier = threading.Barrier(4)
    sent: list[uuid.UUID] = []

    def sweep() -> None:
        try:
            barrier.wait(timeout=30)
            sent.extend(handlers.requeue_stale_jobs().to_send)
        finally:
            connection.close()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sorted(sent) == sorted(job.pk for job in jobs)
