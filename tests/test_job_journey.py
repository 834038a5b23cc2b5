"""From an API key to a paid picture, through the public API and the real pipeline."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from rest_framework.test import APIClient

from accounts import services as accounts_services
from inference import runtime, tasks
from inference.tests import factories, real_engine

SCOPES = ("media:write", "media:read", "jobs:write", "jobs:read", "ledger:read")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return real_engine.build_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def engine(settings, models_dir: Path, tmp_path: Path) -> Iterator[None]:
    """This test process plays the worker, with its own models and media."""
    settings.MODELS_DIR = models_dir
    settings.MEDIA_ROOT = tmp_path / "media"
    yield
    runtime.holder.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Messages that the web side and the worker put in the queue."""
    messages: list[dict[str, str]] = []
    monkeypatch.setattr(
        tasks.run_swap_job, "apply_async", lambda kwargs, **_: messages.append(kwargs)
    )
    return messages


class Customer:
    """A user with an API key and ten tokens, who talks HTTP only."""

    def __init__(self) -> None:
        user = factories.make_user(tokens=10)
        key = accounts_services.issue_api_key(user_id=user.pk, name="test", scopes=SCOPES).key
        self.http = APIClient()
        self.http.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")

    def upload(self, data: bytes) -> str:
        file = SimpleUploadedFile("photo", data)
        answer = self.http.post("/api/v1/assets", {"file": file}, format="multipart")
        assert answer.status_code == 201, answer.data
        return str(answer.data["id"])

    def submit(self, source: bytes, target: bytes, *, target_faces: str = "one") -> str:
        quote = self.http.post(
            "/api/v1/quotes",
            {
                "operation": "image_swap",
                "source_asset_id": self.upload(source),
                "target_asset_id": self.upload(target),
                "options": {"target_faces": target_faces},
            },
            format="json",
        )
        job = self.http.post(
            "/api/v1/jobs",
            {"quote_id": quote.data["id"]},
            format="json",
            headers={"idempotency-key": uuid.uuid4().hex},
        )
        assert job.status_code == 202, job.data
        return str(job.data["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"/api/v1/jobs/{job_id}").data)

    def balance(self) -> dict[str, int]:
        return dict(self.http.get("/api/v1/balance").data)

    def statement_kinds(self) -> list[str]:
        return [line["kind"] for line in self.http.get("/api/v1/statement").data["items"]]


def work_off(messages: list[dict[str, str]]) -> None:
    while messages:
        tasks.run_swap_job(**messages.pop(0))


def test_two_photographs_become_a_paid_swap(sent):
    customer = Customer()
    source, target = real_engine.sample("astronaut.png"), real_engine.sample("grace_hopper.jpg")

    job_id = customer.submit(source, target)
    assert customer.job(job_id)["state"] == "queued"
    assert customer.balance() == {"available": 9, "held": 1, "total": 10}
    work_off(sent)

    job = customer.job(job_id)
    assert job["state"] == "succeeded", job["error"]
    (face,) = job["faces"]
    assert face["similarity_after"] > face["similarity_before"]
    result = customer.http.get(job["output"]["url"])
    body = result.getvalue()
    assert hashlib.sha256(body).hexdigest() == job["output"]["sha256"]
    with Image.open(io.BytesIO(body)) as picture, Image.open(io.BytesIO(target)) as original:
        assert (picture.format, picture.size) == ("JPEG", original.size)
        assert not picture.getexif()
    assert job["receipt"]["settled"] == 1
    assert customer.balance() == {"available": 9, "held": 0, "total": 9}
    assert customer.statement_kinds() == ["settle", "hold", "recharge"]


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [
        ("coffee.png", "grace_hopper.jpg", "no_face_in_source"),
        ("astronaut.png", "rocket.jpg", "no_face_in_target"),
        (("astronaut.png", "grace_hopper.jpg"), "grace_hopper.jpg", "several_faces_in_source"),
        ("astronaut.png", ("grace_hopper.jpg", "astronaut.png"), "several_faces_in_target"),
    ],
)
def test_pictures_that_cannot_be_swapped_cost_nothing(sent, source, target, code):
    customer = Customer()
    pictures = [
        real_engine.sample(names) if isinstance(names, str) else real_engine.side_by_side(*names)
        for names in (source, target)
    ]

    job_id = customer.submit(*pictures)
    work_off(sent)

    job = customer.job(job_id)
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", code, 1)
    assert job["error"]["detail"]
    assert (job["receipt"]["settled"], job["receipt"]["refunded"]) == (0, 1)
    assert customer.balance() == {"available": 10, "held": 0, "total": 10}
    assert customer.statement_kinds() == ["release", "hold", "recharge"]
    assert customer.http.get(f"/api/v1/jobs/{job_id}/result").status_code == 410


@pytest.mark.parametrize(("target_faces", "faces_count"), [("largest", 1), ("all", 2)])
def test_target_with_several_faces_is_swapped_when_asked_for(sent, target_faces, faces_count):
    customer = Customer()
    target = real_engine.side_by_side("grace_hopper.jpg", "grace_hopper.jpg")

    job_id = customer.submit(real_engine.sample("astronaut.png"), target, target_faces=target_faces)
    work_off(sent)

    job = customer.job(job_id)
    assert job["state"] == "succeeded", job["error"]
    assert len(job["faces"]) == faces_count
    assert job["output"]["content_type"] == "image/png"


def test_worker_without_models_refunds_after_the_last_attempt(sent, settings, tmp_path):
    settings.MODELS_DIR = tmp_path / "nothing"
    customer = Customer()

    job_id = customer.submit(
        real_engine.sample("astronaut.png"), real_engine.sample("grace_hopper.jpg")
    )
    work_off(sent)

    job = customer.job(job_id)
    assert (job["state"], job["error"]["code"], job["attempt"]) == ("failed", "internal_error", 3)
    assert customer.balance() == {"available": 10, "held": 0, "total": 10}
