"""The state machine: who may change a job, and what happens to its tokens."""

from __future__ import annotations

import datetime as dt
import threading
import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from inference import endings, services, transitions
from inference.errors import JobFinishedError, JobNotFoundError
from inference.models import SwapJob
from inference.tests import factories
from inference.types import StoredMedia, SwapOutput
from tokens import services as tokens_services

Status = SwapJob.Status
OUTPUT = SwapOutput(
    media=StoredMedia(
        key="results/x/1.jpg",
        sha256="0" * 64,
        content_type="image/jpeg",
        size_bytes=10,
        width_px=4,
        height_px=3,
    ),
    faces=({"similarity_after": 0.7},),
)


@pytest.fixture
def job(db) -> SwapJob:
    return factories.make_job(owner_id=factories.make_user(tokens=5).pk)


def renew(claim, *, stage="swap", percent=50) -> bool:
    return transitions.renew(claim=claim, stage=stage, percent=percent, is_hold_due=True)


def test_claim_is_the_only_one_until_the_lease_lapses(job):
    claim = factories.take(job)

    assert (claim.job_id, claim.attempt) == (job.pk, 1)
    assert transitions.claim(job_id=job.pk) is None
    factories.lapse_lease(job.pk)
    assert factories.take(job).attempt == 2


def test_claim_of_an_unknown_or_ended_job_is_nothing(job):
    assert transitions.claim(job_id=uuid.uuid4()) is None
    endings.stop(job_id=job.pk, detail="test")
    assert transitions.claim(job_id=job.pk) is None


def test_lapsed_claims_end_with_the_last_attempt(job, settings):
    settings.JOB_ATTEMPTS_MAX = 2
    for attempt in (1, 2):
        assert factories.take(job).attempt == attempt
        factories.lapse_lease(job.pk)

    assert transitions.claim(job_id=job.pk) is None


def test_claim_keeps_the_tokens_held_from_now_on(job, settings):
    settings.HOLD_TTL_S = 1000
    soon = timezone.now() + dt.timedelta(seconds=1)
    assert job.hold_id is not None
    tokens_services.extend_hold(hold_id=job.hold_id, expires_at=soon)

    transitions.claim(job_id=job.pk)

    job.hold.refresh_from_db()
    assert job.hold.expires_at > timezone.now() + dt.timedelta(seconds=900)


def test_renew_shows_progress_and_moves_lease_and_hold(job, settings):
    claim = factories.take(job)
    settings.JOB_LEASE_S, settings.HOLD_TTL_S = 600, 900_000

    assert renew(claim, stage="blend", percent=80)

    job.refresh_from_db()
    job.hold.refresh_from_db()
    assert (job.stage, job.progress_percent) == ("blend", 80)
    assert job.lease_expires_at > timezone.now() + dt.timedelta(seconds=500)
    assert job.hold.expires_at > timezone.now() + dt.timedelta(seconds=800_000)


def test_finish_charges_once_and_publishes(job):
    claim = factories.take(job)

    assert transitions.finish(claim=claim, output=OUTPUT)

    job.refresh_from_db()
    assert (job.status, job.result_key, job.progress_percent) == (
        Status.SUCCEEDED,
        OUTPUT.media.key,
        100,
    )
    books = factories.books(job)
    assert books.kinds == ("hold", "settle")
    assert (books.balance.available, books.balance.held) == (4, 0)
    assert not transitions.finish(claim=claim, output=OUTPUT), "a second time changes nothing"
    assert factories.books(job) == books


@pytest.mark.parametrize("action", ["renew", "finish", "fail", "retry"])
def test_stale_attempt_changes_nothing(job, action):
    stale = factories.take(job)
    factories.lapse_lease(job.pk)
    current = factories.take(job)
    before = SwapJob.objects.values().get(pk=job.pk)

    outcome = {
        "renew": lambda: renew(stale),
        "finish": lambda: transitions.finish(claim=stale, output=OUTPUT),
        "fail": lambda: transitions.fail(claim=stale, code="no_face_in_source", detail=""),
        "retry": lambda: transitions.retry(claim=stale, detail=""),
    }[action]()

    assert not outcome
    assert SwapJob.objects.values().get(pk=job.pk) == before
    assert factories.books(job).kinds == ("hold",)
    assert transitions.finish(claim=current, output=OUTPUT)
    assert factories.books(job).kinds == ("hold", "settle")


def test_worker_of_a_lapsed_lease_may_finish_while_nobody_took_over(job):
    claim = factories.take(job)
    factories.lapse_lease(job.pk)

    assert transitions.finish(claim=claim, output=OUTPUT)


def test_fail_refunds_everything(job):
    claim = factories.take(job)

    assert transitions.fail(claim=claim, code="no_face_in_target", detail="no face was found")

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "no_face_in_target")
    books = factories.books(job)
    assert books.kinds == ("hold", "release")
    assert (books.balance.available, books.balance.held) == (5, 0)


def test_result_after_the_refund_is_not_charged(job):
    claim = factories.take(job)
    services.stop_swap_job(job_id=job.pk, actor_id=1)

    assert not transitions.finish(claim=claim, output=OUTPUT)

    job.refresh_from_db()
    assert (job.status, job.result_key) == (Status.FAILED, "")
    assert factories.books(job).kinds == ("hold", "release")
    assert factories.books(job).balance.available == 5


def test_result_after_the_hold_expired_fails_the_job_uncharged(job):
    claim = factories.take(job)
    factories.close_hold(job)

    assert not transitions.finish(claim=claim, output=OUTPUT)

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "hold_expired")
    assert factories.books(job).kinds == ("hold", "release")


def test_claim_after_the_hold_expired_fails_the_job_unrun(job):
    factories.close_hold(job)

    assert transitions.claim(job_id=job.pk) is None

    job.refresh_from_db()
    assert (job.status, job.error_code) == (Status.FAILED, "hold_expired")


def test_retry_after_the_hold_expired_fails_the_job(job):
    claim = factories.take(job)
    factories.close_hold(job)

    assert transitions.retry(claim=claim, detail="") is Status.FAILED

    job.refresh_from_db()
    assert job.error_code == "hold_expired"


def test_retry_queues_until_the_attempts_are_used_up(job, settings):
    settings.JOB_ATTEMPTS_MAX = 2
    assert transitions.retry(claim=factories.take(job), detail="x") is Status.QUEUED
    assert transitions.retry(claim=factories.take(job), detail="x") is Status.FAILED

    job.refresh_from_db()
    assert (job.error_code, job.attempt) == ("internal_error", 2)
    assert factories.books(job).kinds == ("hold", "release")


def test_operator_takes_a_job_from_its_worker(job):
    claim = factories.take(job)

    services.requeue_swap_job(job_id=job.pk, actor_id=1)

    assert not renew(claim)
    assert not transitions.finish(claim=claim, output=OUTPUT)
    assert factories.take(job).attempt == 2


@pytest.mark.parametrize("action", [services.requeue_swap_job, services.stop_swap_job])
def test_operator_cannot_touch_an_ended_job(job, action):
    transitions.finish(claim=factories.take(job), output=OUTPUT)

    with pytest.raises(JobFinishedError):
        action(job_id=job.pk, actor_id=1)
    with pytest.raises(JobNotFoundError):
        action(job_id=uuid.uuid4(), actor_id=1)

    assert factories.books(job).kinds == ("hold", "settle")


@pytest.mark.django_db(transaction=True)
def test_many_workers_with_the_same_message_get_one_claim():
    job = factories.make_job(owner_id=factories.make_user(tokens=1).pk)
    barrier = threading.Barrier(8)
    claims = []

    def work() -> None:
        try:
            barrier.wait(timeout=30)
            claims.append(transitions.claim(job_id=job.pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert [claim.attempt for claim in claims if claim is not None] == [1]
    assert len(claims) == 8


@pytest.mark.django_db(transaction=True)
def test_finish_and_refund_at_once_move_the_tokens_once():
    jobs = [factories.make_job(owner_id=factories.make_user(tokens=1).pk) for _ in range(4)]
    claims = [factories.take(job) for job in jobs]
    barrier = threading.Barrier(8)

    def race(action) -> None:
        try:
            barrier.wait(timeout=30)
            action()
        except JobFinishedError:
            pass
        finally:
            connection.close()

    actions = [
        action
        for job, claim in zip(jobs, claims, strict=True)
        for action in (
            lambda claim=claim: transitions.finish(claim=claim, output=OUTPUT),
            lambda job=job: services.stop_swap_job(job_id=job.pk, actor_id=1),
        )
    ]
    threads = [threading.Thread(target=race, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    for job in jobs:
        job.refresh_from_db()
        ending = "settle" if job.status == Status.SUCCEEDED else "release"
        assert factories.books(job).kinds == ("hold", ending)
        assert factories.books(job).balance.held == 0


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"status": "RUNNING"}, "swapjob_lease_only_while_running"),
        ({"lease_expires_at": timezone.now()}, "swapjob_lease_only_while_running"),
        ({"hold": None, "attempt": 1}, "swapjob_started_job_has_hold"),
        ({"finished_at": timezone.now()}, "swapjob_finished_at_only_at_the_end"),
        (
            {"status": "SUCCEEDED", "finished_at": timezone.now()},
            "swapjob_result_only_when_succeeded",
        ),
        ({"result_key": "x"}, "swapjob_result_only_when_succeeded"),
        ({"status": "FAILED", "finished_at": timezone.now()}, "swapjob_error_only_when_failed"),
        ({"error_code": "x"}, "swapjob_error_only_when_failed"),
        ({"progress_percent": 101}, "swapjob_progress_is_percent"),
    ],
)
def test_database_refuses_a_state_that_cannot_be(job, changes, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        SwapJob.objects.filter(pk=job.pk).update(**changes)
