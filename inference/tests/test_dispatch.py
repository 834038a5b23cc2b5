"""Places for jobs at work: more jobs wait, none is refused, and nobody waits behind another."""

from __future__ import annotations

import pytest

from accounts.types import Plan
from inference import dispatch, handlers, services, tasks, transitions
from inference.models import SwapJob
from inference.tests import factories
from inference.tests.racing import in_parallel

Status = SwapJob.Status


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """Ids of the jobs whose message went to the broker, in that order."""
    ids: list[str] = []
    monkeypatch.setattr(
        tasks.run_swap_job, "apply_async", lambda kwargs, **_: ids.append(kwargs["job_id"])
    )
    return ids


def placed(user) -> int:
    return SwapJob.objects.filter(
        owner=user, sent_at__isnull=False, status__in=["QUEUED", "RUNNING"]
    ).count()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("fast_swap")
def test_jobs_beyond_the_places_run_one_after_another_in_their_order(sent):
    user = factories.make_user(tokens=10)
    jobs = [factories.make_job(owner_id=user.pk) for _ in range(5)]

    assert sent == [str(job.pk) for job in jobs[:2]], "two at once on the free plan"
    for _round in range(5):
        tasks.run_swap_job(job_id=sent[_round])

    assert sent == [str(job.pk) for job in jobs]
    assert set(SwapJob.objects.values_list("status", flat=True)) == {Status.SUCCEEDED}


@pytest.mark.django_db(transaction=True)
def test_the_plan_says_how_many(sent, settings):
    settings.JOBS_AT_ONCE = {"free": 1, "vip": 3, "enterprise": 9, "custom": 9}
    user = factories.make_user(tokens=10)
    type(user).objects.filter(pk=user.pk).update(plan=Plan.VIP)

    for _ in range(5):
        factories.make_job(owner_id=user.pk)

    assert (len(sent), placed(user)) == (3, 3)


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_behind_the_many_jobs_of_another(sent):
    greedy, modest = factories.make_user(tokens=30), factories.make_user(tokens=1)
    for _ in range(20):
        factories.make_job(owner_id=greedy.pk)
    job = factories.make_job(owner_id=modest.pk)

    assert sent.index(str(job.pk)) == 2, "behind the places of the other, not behind its jobs"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ending", ["cancel", "stop"])
def test_an_ending_from_outside_hands_the_place_on(sent, ending):
    user = factories.make_user(tokens=10)
    jobs = [factories.make_job(owner_id=user.pk) for _ in range(3)]

    if ending == "cancel":
        services.cancel_swap_job(owner_id=user.pk, job_id=jobs[0].pk)
    else:
        services.stop_swap_job(job_id=jobs[0].pk, actor_id=user.pk)

    assert sent == [str(job.pk) for job in jobs]


@pytest.mark.django_db(transaction=True)
def test_the_sweep_finds_places_that_nobody_handed_on(sent):
    user = factories.make_user(tokens=10)
    jobs = [factories.make_job(owner_id=user.pk) for _ in range(3)]
    # As if the worker had died between the end of the job and the next message.
    SwapJob.objects.filter(pk=jobs[0].pk).update(
        status=Status.CANCELED, finished_at=jobs[0].created_at
    )
    assert jobs[0].hold_id is not None
    factories.close_hold(jobs[0])

    assert handlers.requeue_stale_jobs().to_send == (jobs[2].pk,)
    assert handlers.requeue_stale_jobs().to_send == ()


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_tried_again_keeps_its_place(sent):
    user = factories.make_user(tokens=10)
    jobs = [factories.make_job(owner_id=user.pk) for _ in range(3)]
    claim = factories.take(jobs[0])

    transitions.retry(claim=claim, detail="a fault of ours")

    assert dispatch.sweep(owner_id=user.pk) == ()
    assert placed(user) == 2


@pytest.mark.django_db(transaction=True)
def test_submits_and_endings_at_once_never_exceed_the_places(sent, settings):
    settings.JOBS_AT_ONCE = {"free": 3, "vip": 3, "enterprise": 3, "custom": 3}
    user = factories.make_user(tokens=40)
    first = [factories.make_job(owner_id=user.pk) for _ in range(6)]
    quotes = [factories.make_quote(owner_id=user.pk) for _ in range(12)]

    def work(index: int) -> None:
        if index % 2:
            services.cancel_swap_job(owner_id=user.pk, job_id=first[index // 2].pk)
        else:
            services.submit_swap_job(
                owner_id=user.pk, quote_id=quotes[index].pk, idempotency_key=f"key-{index}"
            )

    results = in_parallel(12, work)

    assert results == [None] * 12
    handlers.requeue_stale_jobs()
    assert placed(user) == 3
    assert SwapJob.objects.filter(status=Status.QUEUED).count() == 6
    assert len(sent) == len(set(sent)), "each message once"
