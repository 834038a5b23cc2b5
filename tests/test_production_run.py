"""Forty jobs over five people, end to end: real API, workers, engine, ledger.

Two jobs are made to fail, one worker is killed in the middle of its job, and every token is
accounted for at the end.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from rest_framework.test import APIClient

from accounts.types import Role
from inference.models import SwapJob
from inference.tests import factories, real_engine
from productions import selectors
from productions.models import ManifestRow, Production
from tests.test_worker_kill import freeze_in_the_middle
from tests.workers import Workers, empty_queues, wait_until
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services
from tokens.approvals import VoteDecision
from tokens.models import ApprovalRequest, RechargeBatch, Transfer
from tokens.tests import approvals

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = ("ada", "bob", "cleo", "dan", "eve")
ROWS = 40
WITHOUT_FACE = {8, 23}
BUDGET = 45
URL = "/api/v1/productions"


@pytest.fixture
def workers(settings, tmp_path: Path) -> Iterator[Workers]:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MODELS_DIR = real_engine.build_models(tmp_path / "models")
    empty_queues()
    workers = Workers(tmp_path)
    try:
        yield workers
    finally:
        workers.end()


def small(name: str) -> bytes:
    """A sample that is swapped in a moment."""
    with Image.open(real_engine.SAMPLES / name) as picture:
        picture.thumbnail((320, 320))
        out = io.BytesIO()
        picture.convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()


def signed_in(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def upload(client: APIClient, data: bytes) -> str:
    answer = client.post(
        "/api/v1/assets", {"file": SimpleUploadedFile("photo", data)}, format="multipart"
    )
    return str(answer.data["id"])


def written_down(client: APIClient) -> str:
    """The address of a production of forty rows, dealt to five people in turn."""
    faces = [upload(client, small(name)) for name in ("astronaut.png", "grace_hopper.jpg")]
    created = client.post(
        URL,
        {
            "name": "Lessons",
            "budget": BUDGET,
            "is_automatic": False,
            "people": [
                {
                    "ref": ref,
                    "face_asset_id": faces[number % len(faces)],
                    "token_quota": ROWS // len(PEOPLE),
                    "job_quota": ROWS // len(PEOPLE),
                    "consent": {"kind": "documented", "text_version": "2026-11"},
                }
                for number, ref in enumerate(PEOPLE)
            ],
        },
        format="json",
        headers={"idempotency-key": uuid.uuid4().hex},
    )
    url: str = created.headers["Location"]
    large = upload(client, real_engine.enlarged("grace_hopper.jpg", width_px=2400))
    plain = upload(client, small("grace_hopper.jpg"))
    faceless = upload(client, factories.picture())
    targets = {1: large} | dict.fromkeys(WITHOUT_FACE, faceless)
    lines = ["person,target_asset_id"]
    lines += [
        f"{PEOPLE[number % len(PEOPLE)]},{targets.get(number, plain)}"
        for number in range(1, ROWS + 1)
    ]
    loaded = client.put(f"{url}/manifest", "\n".join(lines), content_type="text/csv")
    assert loaded.data["progress"]["states"] == {"ready": ROWS}, loaded.data
    return url


def approved_and_applied() -> None:
    """What another person and a worker of the money queue do."""
    request = ApprovalRequest.objects.get()
    tokens_services.vote_on_batch(
        request_id=request.pk,
        voter_id=factories.make_user(role=Role.ADMIN).pk,
        ballot=approvals.ballot(request, VoteDecision.APPROVE),
    )
    tokens_services.follow_batch(batch_id=RechargeBatch.objects.get().pk)


def has_ended() -> bool:
    return not selectors.unfinished_count(production=Production.objects.get())


def test_forty_jobs_over_five_people_survive_failures_and_a_killed_worker(workers):
    studio, maker = factories.make_user(), factories.make_user(role=Role.OPERATOR)
    client, office = signed_in(studio), signed_in(maker)
    approvals.make_policy(batch_tokens_min=BUDGET)
    first = workers.start(with_beat=False)
    url = written_down(client)
    assert client.post(f"{url}/estimate").data["estimate"] == ROWS
    assert office.post(f"{url}/fund").data["state"] == "awaiting_approval"
    approved_and_applied()
    assert office.post(f"{url}/fund").status_code == 200
    assert client.post(f"{url}/start").data["state"] == "running"

    hard_id = ManifestRow.objects.get(row_no=1).job_id
    assert hard_id is not None
    hard = SwapJob.objects.get(pk=hard_id)
    freeze_in_the_middle(first, hard, workers.logs)
    first.kill()
    first.wait(timeout=30)
    workers.start(with_beat=True)
    wait_until(has_ended, timeout_s=150, pause_s=0.5, hint=workers.logs)

    hard.refresh_from_db()
    assert (hard.status, hard.attempt) == ("SUCCEEDED", 2)
    failed = client.get(f"{url}/rows", {"state": "failed"}).data["items"]
    assert {row["row"]: row["error_code"] for row in failed} == dict.fromkeys(
        WITHOUT_FACE, "no_face_in_target"
    )
    # One gets a better picture, the other one fails for good.
    better = upload(client, small("grace_hopper.jpg"))
    again = client.post(
        f"{url}/retry", {"rows": [{"row": 8, "target_asset_id": better}]}, format="json"
    )
    assert again.data["progress"]["states"] == {"failed": 1, "ready": 1, "succeeded": 38}
    client.post(f"{url}/start")
    wait_until(has_ended, timeout_s=60, pause_s=0.2, hint=workers.logs)
    done = client.post(f"{url}/finish").data

    assert (done["state"], done["progress"]["states"]) == (
        "finished",
        {"failed": 1, "succeeded": 39},
    )
    assert done["progress"]["books"] == {
        "funded": BUDGET,
        "spending": {"held": 0, "settled": 39, "refunded": 2},
        "returned": BUDGET - 39,
        "return_status": "applied",
        "left": 0,
    }
    shares = {person["ref"]: person["spending"] for person in done["progress"]["people"]}
    assert sum(share["settled"] for share in shares.values()) == 39
    assert max(share["settled"] for share in shares.values()) == ROWS // len(PEOPLE)
    balance = tokens_selectors.balance(user_id=studio.pk)
    assert (balance.available, balance.held) == (0, 0)
    assert sum(Transfer.objects.filter(kind="SETTLE").values_list("amount", flat=True)) == 39
    assert SwapJob.objects.count() == ROWS + 1
