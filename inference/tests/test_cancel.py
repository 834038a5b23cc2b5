"""Canceling: what it costs, that it may be repeated, and that exactly one ending wins."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from inference import endings, handlers, runtime, services, tasks, transitions
from inference.errors import JobFinishedError
from inference.models import SwapJob
from inference.pipeline import errors as pipeline_errors
from inference.tests import factories
from inference.tests.racing import in_parallel
from inference.tests.test_transitions import OUTPUT
from inference.types import FrameProgress

URL = "/api/v1/jobs"
Status = SwapJob.Status


@pytest.fixture
def user(db):
    return factories.make_user(tokens=100)


def of_a_video(job: SwapJob, *, quoted: int, done: int, count: int) -> SwapJob:
    """A running job of which a worker has shown so many frames."""
    claim = factories.take(job)
    frames = FrameProgress(done=done, count=count, eta_s=9)
    assert transitions.renew(
        claim=claim, stage="video", percent=40, is_hold_due=False, frames=frames
    )
    assert job.quote.tokens == quoted
    return job


@pytest.mark.django_db
def test_a_queued_job_costs_nothing_and_may_be_canceled_again(client_of, user):
    job = factories.make_job(owner_id=user.pk)

    answers = [client_of(user).post(f"{URL}/{job.pk}/cancel") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].data == answers[1].data
    said = answers[0].data
    assert (said["state"], said["error"], said["output"]) == ("canceled", None, None)
    assert (said["receipt"]["settled"], said["receipt"]["refunded"]) == (0, 1)
    assert [row["kind"] for row in said["receipt"]["transfers"]] == ["hold", "release"]
    assert transitions.claim(job_id=job.pk) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("done", "settled"), [(0, 0), (1, 0), (99, 6), (100, 7), (199, 13), (200, 14), (250, 14)]
)
def test_the_frames_that_are_done_are_charged_rounded_down(
    client_of, user, settings, done, settled
):
    settings.TOKENS_PRICE_IMAGE = 14
    job = of_a_video(factories.make_job(owner_id=user.pk), quoted=14, done=done, count=200)
    foretold = client_of(user).get(f"{URL}/{job.pk}/cancel")
    assert foretold.data == {"held": 14, "settled": settled, "refunded": 14 - settled}
    assert SwapJob.objects.get().status == Status.RUNNING

    services.cancel_swap_job(owner_id=user.pk, job_id=job.pk)

    books = factories.books(job)
    assert (books.balance.available, books.balance.held) == (100 - settled, 0)
    kinds = {0: ("hold", "release"), 14: ("hold", "settle")}
    assert books.kinds == kinds.get(settled, ("hold", "settle", "release"))


@pytest.mark.django_db
def test_a_running_picture_costs_nothing(user):
    job = factories.make_job(owner_id=user.pk)
    claim = factories.take(job)

    services.cancel_swap_job(owner_id=user.pk, job_id=job.pk)

    assert not transitions.renew(claim=claim, stage="swap", percent=50, is_hold_due=True)
    assert factories.books(job).kinds == ("hold", "release")


@pytest.mark.django_db
def test_what_a_lost_worker_did_is_not_charged(user, settings):
    settings.TOKENS_PRICE_IMAGE = 10
    job = of_a_video(factories.make_job(owner_id=user.pk), quoted=10, done=50, count=100)
    factories.lapse_lease(job.pk)

    services.cancel_swap_job(owner_id=user.pk, job_id=job.pk)

    assert factories.books(job).balance.available == 100


@pytest.mark.django_db
def test_an_ended_job_cannot_be_canceled(client_of, user):
    job = factories.make_job(owner_id=user.pk)
    services.stop_swap_job(job_id=job.pk, actor_id=1)

    answer = client_of(user).post(f"{URL}/{job.pk}/cancel")
    foretold = client_of(user).get(f"{URL}/{job.pk}/cancel")

    assert (answer.status_code, answer.data["code"]) == (409, "job_finished")
    assert answer.data["state"] == "failed"
    assert (foretold.status_code, foretold.data["code"]) == (409, "job_finished")


@pytest.mark.django_db
def test_somebody_elses_job_does_not_exist(client_of, user):
    job = factories.make_job(owner_id=user.pk)

    answer = client_of(factories.make_user()).post(f"{URL}/{job.pk}/cancel")

    assert (answer.status_code, answer.data["code"]) == (404, "job_not_found")
    assert SwapJob.objects.get().status == Status.QUEUED


@pytest.mark.django_db
def test_the_worker_of_a_picture_sees_the_cancel_at_its_next_question(user, monkeypatch):
    job = factories.make_job(owner_id=user.pk)
    monkeypatch.setattr("inference.observers._INTERVAL_S", 0.0)
    stopped = []

    def swap(*, observer, **_):
        observer.progress("detect", 0.0)
        services.cancel_swap_job(owner_id=user.pk, job_id=job.pk)
        stopped.append(observer.should_stop())
        raise pipeline_errors.StoppedError("swap")

    monkeypatch.setattr(runtime, "swap", swap)

    assert handlers.run_swap_job(job_id=job.pk) is False
    assert stopped == [True]
    assert SwapJob.objects.get().status == Status.CANCELED


@pytest.mark.django_db
def test_a_hold_that_is_gone_does_not_keep_the_job_from_ending(user):
    job = factories.make_job(owner_id=user.pk)
    factories.take(job)
    factories.close_hold(job)

    services.cancel_swap_job(owner_id=user.pk, job_id=job.pk)

    assert SwapJob.objects.get().status == Status.CANCELED
    assert factories.books(job).kinds == ("hold", "release")


@pytest.mark.django_db
def test_blocked_content_is_refunded_and_said(client_of, user, monkeypatch):
    job = factories.make_job(owner_id=user.pk)

    def swap(**_):
        raise pipeline_errors.ContentBlockedError("target", ("nsfw",))

    monkeypatch.setattr(runtime, "swap", swap)
    handlers.run_swap_job(job_id=job.pk)

    said = client_of(user).get(f"{URL}/{job.pk}").data
    assert (said["state"], said["error"]["code"]) == ("blocked", "content_blocked_in_target")
    assert said["receipt"]["refunded"] == 1


@pytest.mark.django_db
def test_start_deadline_passes_and_the_tokens_come_back(client_of, user):
    quote = factories.make_quote(owner_id=user.pk)
    answer = client_of(user).post(
        URL,
        {"quote_id": str(quote.pk), "start_deadline_s": 60},
        format="json",
        headers={"idempotency-key": "k"},
    )
    job = SwapJob.objects.get()
    assert answer.data["start_deadline_at"] is not None
    assert handlers.requeue_stale_jobs().failed == ()
    SwapJob.objects.update(start_deadline_at=timezone.now() - dt.timedelta(seconds=1))

    assert transitions.claim(job_id=job.pk) is None, "too late"
    assert handlers.requeue_stale_jobs().failed == (job.pk,)

    said = client_of(user).get(f"{URL}/{job.pk}").data
    assert (said["state"], said["error"]["code"]) == ("expired", "start_deadline_passed")
    assert (said["receipt"]["settled"], said["receipt"]["refunded"]) == (0, 1)


@pytest.mark.django_db
def test_a_job_that_a_worker_began_does_not_expire(user):
    job = factories.make_job(owner_id=user.pk)
    claim = factories.take(job)
    SwapJob.objects.update(start_deadline_at=timezone.now() - dt.timedelta(seconds=1))
    transitions.retry(claim=claim, detail="a fault of ours")

    assert not endings.expire(job_id=job.pk)
    assert factories.take(job).attempt == 2


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [0, -1, "60", 1.5, 10**9])
def test_wrong_deadline_is_refused(client_of, user, wrong):
    quote = factories.make_quote(owner_id=user.pk)

    answer = client_of(user).post(
        URL,
        {"quote_id": str(quote.pk), "start_deadline_s": wrong},
        format="json",
        headers={"idempotency-key": "k"},
    )

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_request")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rival", ["finish", "fail", "cancel", "stop", "recover"])
def test_of_two_endings_at_once_exactly_one_wins(monkeypatch, rival):
    monkeypatch.setattr(tasks.run_swap_job, "apply_async", lambda **_: None)
    user = factories.make_user(tokens=100)
    for _round in range(8):
        job = factories.make_job(owner_id=user.pk)
        claim = factories.take(job)
        if rival == "recover":
            SwapJob.objects.filter(pk=job.pk).update(attempts_before=0, attempt=3)
            factories.lapse_lease(job.pk)
        rivals = {
            "finish": lambda claim=claim: transitions.finish(claim=claim, output=OUTPUT),
            "fail": lambda claim=claim: transitions.fail(claim=claim, code="x", detail=""),
            "cancel": lambda job=job: endings.cancel(job_id=job.pk),
            "stop": lambda job=job: endings.stop(job_id=job.pk, detail="") is None,
            "recover": lambda job=job: transitions.recover(job_id=job.pk) is not None,
        }
        works = [lambda job=job: endings.cancel(job_id=job.pk), rivals[rival]]

        results = in_parallel(2, lambda index, works=works: works[index]())

        outcomes = [not isinstance(result, JobFinishedError) and result for result in results]
        assert sorted(outcomes) == [False, True], results
        job.refresh_from_db()
        assert job.is_final
        assert len(factories.books(job).kinds) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_cancel_first", [True, False])
def test_cancel_and_finish_in_both_orders(monkeypatch, is_cancel_first):
    monkeypatch.setattr(tasks.run_swap_job, "apply_async", lambda **_: None)
    user = factories.make_user(tokens=5)
    job = factories.make_job(owner_id=user.pk)
    claim = factories.take(job)
    if is_cancel_first:
        assert endings.cancel(job_id=job.pk)
        assert not transitions.finish(claim=claim, output=OUTPUT)
    else:
        assert transitions.finish(claim=claim, output=OUTPUT)
        with pytest.raises(JobFinishedError):
            endings.cancel(job_id=job.pk)

    job.refresh_from_db()
    wanted = (Status.CANCELED, 5) if is_cancel_first else (Status.SUCCEEDED, 4)
    assert (job.status, factories.books(job).balance.available) == wanted
