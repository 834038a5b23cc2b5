"""The back office: who sees what, and the two things that can be done there."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.types import Role
from inference import handlers, services, transitions
from inference.models import SwapJob
from inference.tests import factories
from inference.types import FrameProgress

pytestmark = pytest.mark.django_db
JOBS = "/admin/inference/swapjob/"


def browser(role: Role) -> Client:
    client = Client()
    client.force_login(factories.make_user(role=role))
    return client


@pytest.fixture
def operator() -> Client:
    return browser(Role.OPERATOR)


@pytest.fixture
def job(db) -> SwapJob:
    return factories.make_job(owner_id=factories.make_user(tokens=5).pk)


def act(client: Client, action: str, *jobs: SwapJob):
    body = {"action": action, "_selected_action": [str(job.pk) for job in jobs]}
    return client.post(JOBS, body, follow=True)


def picture_urls(job: SwapJob) -> list[str]:
    assets = [job.quote.source_id, job.quote.target_id]
    return [
        reverse(view, args=[row_id, size])
        for size in ("small", "full")
        for view, row_id in (
            *(("admin:inference_mediaasset_picture", asset_id) for asset_id in assets),
            ("admin:inference_swapjob_result", job.pk),
        )
    ]


@pytest.mark.usefixtures("fast_swap")
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_staff_sees_lists_pages_and_pictures(job, role):
    handlers.run_swap_job(job_id=job.pk)
    client = browser(role)

    listing = client.get(JOBS)
    assert listing.status_code == 200
    html = listing.content.decode()
    assert "held 1, settled 1, refunded 0" in html
    assert "Succeeded" in html
    page = client.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "settle" in page
    for url in picture_urls(job):
        assert url in html or url in page
        answer = client.get(url)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Cache-Control"].startswith("private, no-store")
    assert client.get("/admin/inference/mediaasset/").status_code == 200
    asset_page = client.get(f"/admin/inference/mediaasset/{job.quote.source_id}/change/")
    assert asset_page.status_code == 200
    assert client.get("/admin/inference/swapquote/").status_code == 200
    quote_page = client.get(f"/admin/inference/swapquote/{job.quote_id}/change/")
    assert str(job.pk) in quote_page.content.decode()


@pytest.mark.usefixtures("fast_swap")
def test_customers_and_strangers_see_nothing(job):
    handlers.run_swap_job(job_id=job.pk)
    owner = Client()
    owner.force_login(job.owner)

    for client in (owner, Client()):
        for url in (JOBS, f"{JOBS}{job.pk}/change/", *picture_urls(job)):
            answer = client.get(url)
            assert answer.status_code == 302, url
            assert answer.headers["Location"].startswith("/admin/login/")


def test_unknown_pictures_do_not_exist(operator, job):
    assert operator.get(picture_urls(job)[2]).status_code == 404, "the job has no result yet"
    assert operator.get(f"/admin/inference/mediaasset/{job.pk}/picture/small/").status_code == 404
    odd = reverse("admin:inference_mediaasset_picture", args=[job.quote.source_id, "huge"])
    assert operator.get(odd).status_code == 404


@pytest.mark.parametrize("model", ["mediaasset", "swapquote", "swapjob"])
def test_nothing_can_be_edited_even_by_administrators(job, model):
    client = browser(Role.ADMIN)
    row_id = {
        "mediaasset": job.quote.source_id,
        "swapquote": job.quote_id,
        "swapjob": job.pk,
    }[model]

    assert client.get(f"/admin/inference/{model}/add/").status_code == 403
    assert client.post(f"/admin/inference/{model}/{row_id}/change/", {}).status_code == 403
    assert (
        client.post(f"/admin/inference/{model}/{row_id}/delete/", {"post": "yes"}).status_code
        == 403
    )
    assert SwapJob.objects.filter(pk=job.pk).exists()


def test_operator_stops_a_job_with_a_refund(operator, job):
    answer = act(operator, "stop_and_refund", job)

    assert "1 job: stopped and refunded." in answer.content.decode()
    job.refresh_from_db()
    assert (job.status, job.error_code) == (SwapJob.Status.FAILED, "stopped_by_operator")
    assert factories.books(job).kinds == ("hold", "release")


def test_operator_gives_a_stuck_job_to_a_new_worker(operator, job):
    claim = factories.take(job)

    act(operator, "requeue", job)

    job.refresh_from_db()
    assert job.status == SwapJob.Status.QUEUED
    assert not transitions.renew(claim=claim, stage="swap", percent=1, is_hold_due=False)


def test_operator_sees_what_a_cancel_charges_before_it_happens(operator, settings):
    settings.TOKENS_PRICE_IMAGE = 4
    job = factories.make_job(owner_id=factories.make_user(tokens=5).pk)
    claim = factories.take(job)
    frames = FrameProgress(done=150, count=200, eta_s=1)
    transitions.renew(claim=claim, stage="video", percent=60, is_hold_due=False, frames=frames)
    ended = factories.make_job(owner_id=factories.make_user(tokens=5).pk)
    services.stop_swap_job(job_id=ended.pk, actor_id=1)

    page = act(operator, "cancel", job, ended).content.decode()

    figures = re.findall(r'<td class="px-3 py-2 text-right">(\d+)</td>', page)
    assert figures == ["4", "3", "1"] * 2, "the job's, and those of all together"
    assert str(ended.pk) not in page
    job.refresh_from_db()
    assert job.status == SwapJob.Status.RUNNING, "nothing has happened yet"


def test_operator_cancels_after_the_look(operator, job):
    body = {"action": "cancel", "_selected_action": [str(job.pk)], "confirmed": "1"}

    answer = operator.post("/admin/inference/swapjob/", body, follow=True)

    job.refresh_from_db()
    assert job.status == SwapJob.Status.CANCELED
    assert "1 job: canceled." in answer.content.decode()
    assert factories.books(job).kinds == ("hold", "release")


@pytest.mark.parametrize("action", ["requeue", "stop_and_refund"])
def test_ended_job_is_left_alone_with_a_warning(operator, job, action):
    act(operator, "stop_and_refund", job)
    before = SwapJob.objects.values().get(pk=job.pk)

    answer = act(operator, action, job)

    assert "already ended" in answer.content.decode()
    assert SwapJob.objects.values().get(pk=job.pk) == before
    assert factories.books(job).kinds == ("hold", "release")


def test_list_costs_the_same_whatever_its_length(operator, django_assert_max_num_queries):
    for _ in range(2):
        factories.make_job(owner_id=factories.make_user(tokens=1).pk)
    with django_assert_max_num_queries(20) as few:
        operator.get(JOBS)
    for _ in range(6):
        factories.make_job(owner_id=factories.make_user(tokens=1).pk)
    with django_assert_max_num_queries(20) as many:
        operator.get(JOBS)

    assert len(many) == len(few)


def test_search_finds_by_id_and_owner(operator, job):
    other = factories.make_job(owner_id=factories.make_user(tokens=1).pk)

    for query in (str(job.pk), job.owner.user_ref, str(job.quote_id)):
        html = operator.get(JOBS, {"q": query}).content.decode()
        assert f"{JOBS}{job.pk}/change/" in html
        assert f"{JOBS}{other.pk}/change/" not in html


@pytest.mark.django_db(transaction=True)
def test_jobs_are_filtered_by_the_codes_of_the_latest_failures(client):
    owner = factories.make_user(tokens=9)
    failed, fine = (factories.make_job(owner_id=owner.pk) for _ in range(2))
    SwapJob.objects.filter(pk=failed.pk).update(
        status="FAILED",
        attempt=1,
        started_at=failed.created_at,
        finished_at=failed.created_at,
        error_code="no_face_found",
    )
    client.force_login(factories.make_user(role=Role.ADMIN))
    url = reverse("admin:inference_swapjob_changelist")
    page = client.get(url).content.decode()
    assert "error_code=no_face_found" in page
    found = client.get(url, {"error_code": "no_face_found"}).content.decode()
    assert str(failed.pk) in found
    assert str(fine.pk) not in found
