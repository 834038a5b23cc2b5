"""What workers write about themselves, what waits in the queues, and the pages that show it."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts_services
from accounts.types import Role
from inference import batch_selectors, gpus, queue_selectors, services, workers
from inference.gpus import GpuReading
from inference.models import SwapJob, Worker
from inference.services import batches
from inference.tests import factories
from inference.types import SwapOptions
from inference.worker_errors import WorkerNotFoundError
from inference.workers import WorkerActivity, WorkerFacts
from tokens.types import Operation

pytestmark = pytest.mark.django_db
OPERATIONS = "admin:inference_worker_operations"
GPU = GpuReading("Card", 73, 6 * 1024**3, 16 * 1024**3)


def facts(name="celery@a/1", *, queues=("default", "swaps")) -> WorkerFacts:
    return WorkerFacts(name, name.split("@")[1], 1, queues, 1, "cuda, cpu")


def signed_in(role: Role):
    user = factories.make_user(role=role)
    client = Client()
    client.force_login(user)
    return client, user


def lose(worker_id) -> None:
    Worker.objects.filter(pk=worker_id).update(seen_at=timezone.now() - timedelta(seconds=61))


def test_a_worker_reports_what_it_does_and_is_told_when_to_drain():
    worker_id = workers.register(facts())
    now = timezone.now()
    activity = WorkerActivity("inference.run_swap_job", "j-1", now, GPU)
    assert workers.report(worker_id=worker_id, activity=activity) is False

    row = Worker.objects.get()
    assert (row.task, row.reference, row.task_since) == ("inference.run_swap_job", "j-1", now)
    assert (row.gpu_name, row.gpu_percent) == ("Card", 73)
    assert queue_selectors.gpu_percent() == 73
    assert queue_selectors.workers_listening() == {"default": 1, "swaps": 1}

    actor = factories.make_user(role=Role.SRE)
    services.drain_worker(worker_id=worker_id, actor_id=actor.pk)
    services.drain_worker(worker_id=worker_id, actor_id=actor.pk)
    assert workers.report(worker_id=worker_id, activity=WorkerActivity()) is True
    assert queue_selectors.workers_listening() == {}
    assert queue_selectors.gpu_percent() is None

    services.resume_worker(worker_id=worker_id, actor_id=actor.pk)
    assert workers.report(worker_id=worker_id, activity=WorkerActivity()) is False
    told = (
        apps.get_model("tokens", "AuditEvent")
        .objects.filter(subject="worker:celery@a/1")
        .order_by("pk")
    )
    assert [event.action for event in told] == ["worker.draining", "worker.resumed"]


def test_a_worker_that_starts_anew_takes_work_again():
    first = workers.register(facts())
    services.drain_worker(worker_id=first, actor_id=factories.make_user(role=Role.SRE).pk)
    workers.sign_off(worker_id=first)
    assert queue_selectors.workers_listening() == {}

    assert workers.register(facts()) == first
    assert queue_selectors.workers_listening() == {"default": 1, "swaps": 1}


@pytest.mark.parametrize("gone", [lose, lambda pk: workers.sign_off(worker_id=pk)])
def test_only_workers_at_work_can_be_told_anything(gone):
    worker_id = workers.register(facts())
    gone(worker_id)
    actor_id = factories.make_user(role=Role.SRE).pk
    with pytest.raises(WorkerNotFoundError) as refused:
        services.drain_worker(worker_id=worker_id, actor_id=actor_id)
    assert refused.value.code == "worker_not_found"
    with pytest.raises(WorkerNotFoundError):
        services.resume_worker(worker_id=uuid.uuid4(), actor_id=actor_id)


def test_rows_of_workers_that_are_long_gone_go_too():
    old = workers.register(facts("celery@old/1"))
    Worker.objects.filter(pk=old).update(seen_at=timezone.now() - timedelta(days=8))
    new = workers.register(facts("celery@new/1"))
    assert list(Worker.objects.values_list("pk", flat=True)) == [new]


def test_without_a_driver_there_is_no_gpu():
    """This machine has none, or the reading is that of a real one."""
    reading = gpus.read(index=0)
    assert reading is None or 0 <= reading.percent <= 100 <= reading.memory_total_bytes
    assert gpus.read(index=99) is None


def test_queues_tell_what_waits_since_when_and_for_whom(settings):
    settings.JOBS_AT_ONCE = settings.JOBS_AT_ONCE | {"free": 2}
    user = factories.make_user(tokens=10)
    jobs = [factories.make_job(owner_id=user.pk) for _n in range(4)]
    SwapJob.objects.filter(pk=jobs[0].pk).update(queued_at=timezone.now() - timedelta(minutes=5))
    swaps, money, webhooks = queue_selectors.queues()
    assert (swaps.name, money.name, webhooks.name) == ("swaps", "money", "webhooks")
    assert (swaps.waiting_count, swaps.parked_count, swaps.running_count) == (2, 2, 0)
    assert swaps.oldest_age_s is not None
    assert 299 <= swaps.oldest_age_s <= 310
    assert swaps.is_stuck
    assert (money.waiting_count, money.oldest_age_s, money.is_stuck) == (0, None, False)

    workers.register(facts())
    factories.take(jobs[0])
    swaps = queue_selectors.queues()[0]
    assert (swaps.waiting_count, swaps.running_count, swaps.workers_count) == (1, 1, 1)
    assert not swaps.is_stuck
    assert [job.pk for job in queue_selectors.running_jobs(limit=5)] == [jobs[0].pk]


def test_the_operations_page_shows_it_all_and_steers_workers():
    worker_id = workers.register(facts())
    workers.report(
        worker_id=worker_id,
        activity=WorkerActivity("inference.run_swap_job", "j-1", timezone.now(), GPU),
    )
    job = factories.make_job(owner_id=factories.make_user(tokens=10).pk)
    factories.take(job)
    client, _user = signed_in(Role.SRE)
    page = client.get(reverse(OPERATIONS)).content.decode()
    for shown in ("celery@a/1", "Card · 73 %", "6.0", str(job.pk), 'value="drain"'):
        assert shown in page

    told = client.post(
        reverse(OPERATIONS), {"worker": str(worker_id), "step": "drain"}, follow=True
    ).content.decode()
    assert "takes nothing new" in told
    assert 'value="resume"' in told
    assert Worker.objects.get().is_draining

    lost = client.post(
        reverse(OPERATIONS), {"worker": str(uuid.uuid4()), "step": "drain"}, follow=True
    )
    assert "No worker with this id is at work." in lost.content.decode()
    for wrong in ({}, {"worker": "x", "step": "drain"}, {"worker": str(worker_id), "step": "x"}):
        refused = client.post(reverse(OPERATIONS), wrong, follow=True)
        assert "This step is not known." in refused.content.decode()


def test_the_cost_of_the_operations_page_does_not_grow(django_assert_max_num_queries):
    user = factories.make_user(tokens=10)
    for number in range(3):
        workers.register(facts(f"celery@w/{number}"))
        factories.take(factories.make_job(owner_id=user.pk)) if number < 2 else None
    client, _user = signed_in(Role.SRE)
    client.get(reverse(OPERATIONS))
    with django_assert_max_num_queries(14):
        client.get(reverse(OPERATIONS))


def test_whoever_only_looks_is_shown_no_steps_and_may_take_none():
    worker_id = workers.register(facts())
    client, _user = signed_in(Role.AUDITOR)
    page = client.get(reverse(OPERATIONS)).content.decode()
    assert 'value="drain"' not in page
    refused = client.post(reverse(OPERATIONS), {"worker": str(worker_id), "step": "drain"})
    assert refused.status_code == 403
    assert not Worker.objects.get().is_draining


def test_running_jobs_are_requeued_and_canceled_from_the_page_after_a_preview():
    job = factories.make_job(owner_id=factories.make_user(tokens=10).pk)
    factories.take(job)
    client, _user = signed_in(Role.SRE)
    jobs = reverse("admin:inference_swapjob_changelist")
    chosen = {"_selected_action": str(job.pk), "index": "0"}

    client.post(jobs, chosen | {"action": "requeue"})
    job.refresh_from_db()
    assert job.status == SwapJob.Status.QUEUED
    preview = client.post(jobs, chosen | {"action": "cancel"}).content.decode()
    assert "Nothing was changed yet." in preview
    client.post(jobs, chosen | {"action": "cancel", "confirmed": "1"})
    job.refresh_from_db()
    assert job.status == SwapJob.Status.CANCELED


def test_faces_are_shown_to_those_who_review_media_alone():
    job = factories.make_job(owner_id=factories.make_user(tokens=10).pk)
    pictures = reverse("admin:inference_mediaasset_picture", args=[job.quote.source_id, "small"])
    page = reverse("admin:inference_swapjob_change", args=[job.pk])
    jobs = reverse("admin:inference_swapjob_changelist")
    for role, sees in ((Role.SAFETY, True), (Role.SRE, False), (Role.SUPPORT, False)):
        client, _user = signed_in(role)
        for address in (page, jobs):
            answer = client.get(address)
            assert answer.status_code == 200
            assert (pictures in answer.content.decode()) == sees, (role, address)
        assert client.get(pictures).status_code == (200 if sees else 403), role


def test_batches_are_listed_with_the_states_of_their_jobs(django_assert_max_num_queries):
    user = factories.make_user(tokens=10)
    source, target = (factories.make_asset(owner_id=user.pk) for _n in range(2))
    row = batches.BatchRow(source.pk, target.pk, Operation.IMAGE_SWAP, SwapOptions())
    made = [
        batches.create_job_batch(
            owner_id=user.pk,
            order=batches.BatchOrder(rows=(row, row), mode=batches.Mode.SOFT_FAIL),
            idempotency_key=uuid.uuid4().hex,
        )[0]
        for _n in range(2)
    ]
    counts = batch_selectors.job_counts(batch_ids=made)
    assert [counts[batch_id]["QUEUED"] for batch_id in made] == [2, 2]

    client, _user = signed_in(Role.SUPPORT)
    listed = reverse("admin:inference_jobbatch_changelist")
    client.get(listed)
    with django_assert_max_num_queries(10):
        page = client.get(listed).content.decode()
    assert page.count("Queued 2") == 2
    link = re.search(r'href="(/admin/inference/swapjob/\?batch__id__exact=[0-9a-f-]+)"', page)
    assert link is not None
    assert client.get(link[1]).content.decode().count("/change/") >= 2
    assert client.get(reverse("admin:inference_jobbatch_change", args=[made[0]])).status_code == 200


def test_the_inventory_says_what_may_be_used_and_which_bytes_are_right(settings, tmp_path):
    settings.MODELS_DIR = tmp_path
    settings.MODEL_POLICY = "commercial"
    client, _user = signed_in(Role.SRE)
    page = client.get(reverse("admin:inference_worker_models")).content.decode()
    assert "mesh_swapper" in page
    assert "not there" in page
    assert "0 models can be used here" in page


def test_a_stranger_to_operations_sees_neither_page_nor_menu():
    client, _user = signed_in(Role.MAKER)
    assert client.get(reverse(OPERATIONS)).status_code == 403
    assert client.get(reverse("admin:inference_worker_models")).status_code == 403
    home = client.get("/admin/").content.decode()
    assert reverse(OPERATIONS) not in home
    assert reverse("admin:tokens_rechargebatch_changelist") in home


def test_role_follows_the_account(db):
    """A change of role counts at the next request, without a new sign-in."""
    client, user = signed_in(Role.SRE)
    assert client.get(reverse(OPERATIONS)).status_code == 200
    accounts_services.set_role(user_id=user.pk, role=Role.MAKER)
    assert client.get(reverse(OPERATIONS)).status_code == 403
