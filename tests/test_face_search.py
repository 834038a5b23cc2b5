"""Faces are found by real workers, also when one of them dies; asked for at once, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone
from rest_framework.test import APIClient

from inference import tasks
from inference.models import AssetFace, FaceSearch, MediaAsset
from inference.tests import factories, real_engine
from inference.tests.faces import steps
from tests.workers import Workers, empty_queues, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


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


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def url_of(asset: MediaAsset) -> str:
    return f"{steps.ASSETS}/{asset.pk}/faces"


def test_a_worker_that_dies_is_replaced(workers, tmp_path):
    user = factories.make_user()
    client = client_of(user)
    asset = steps.upload(user, steps.make_clip(tmp_path / "clip.mp4"))
    assert client.post(url_of(asset)).status_code == 202

    def state() -> str:
        return str(FaceSearch.objects.get().status)

    first = workers.start(with_beat=False)
    wait_until(lambda: state() == "RUNNING", timeout_s=60, pause_s=0.005, hint=workers.logs)
    first.kill()
    first.wait(timeout=30)
    assert state() == "RUNNING", "it dies before it is done"
    FaceSearch.objects.update(lease_expires_at=timezone.now() - dt.timedelta(seconds=1))
    tasks.sweep_faces()
    workers.start(with_beat=False)
    wait_until(lambda: state() == "DONE", timeout_s=60, pause_s=0.1, hint=workers.logs)

    found = client.get(url_of(asset)).data
    assert (found["state"], len(found["faces"])) == ("done", 2)
    assert FaceSearch.objects.get().attempt == 2
    (path,) = {key.rpartition("/")[0] for key in thumbnail_keys()}
    assert path.endswith("-2"), "the thumbnails are of the attempt that ended"


def thumbnail_keys() -> list[str]:
    return list(AssetFace.objects.values_list("thumbnail_key", flat=True))


def test_requests_at_once_begin_one_search(settings, tmp_path, monkeypatch):
    settings.MEDIA_ROOT = tmp_path / "media"
    user = factories.make_user()
    asset = steps.upload(user, factories.picture())
    sent = []
    monkeypatch.setattr(tasks.find_faces, "apply_async", lambda **order: sent.append(order))

    def ask(_number: int) -> int:
        try:
            return int(client_of(user).post(url_of(asset)).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=8) as pool:
        codes = list(pool.map(ask, range(24)))

    assert set(codes) == {202}
    assert FaceSearch.objects.count() == len(sent) == 1
