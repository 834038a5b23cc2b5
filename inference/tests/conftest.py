from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from inference import runtime
from inference.pipeline.types import FaceReport, SwapResult

STAGES = ("detect", "prepare", "swap", "blend")


@pytest.fixture(autouse=True)
def media_root(settings, tmp_path: Path) -> Path:
    """Each test has its own empty media storage."""
    folder = tmp_path / "media"
    settings.MEDIA_ROOT = folder
    return folder


@pytest.fixture(autouse=True)
def _fresh_limits(request: pytest.FixtureRequest) -> Iterator[None]:
    """Counters of request limits do not leak from one test into the next."""
    yield
    if request.node.get_closest_marker("django_db") is not None:
        cache.clear()


@pytest.fixture
def fast_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A swap without models: the target upside down. Everything around it is real."""

    def swap(*, casting, target_bgr, options, observer) -> SwapResult:
        for stage in STAGES:
            observer.progress(stage, 0.0)
            observer.progress(stage, 1.0)
        face = FaceReport(
            box_xyxy=(1.0, 2.0, 30.0, 40.0),
            detector_score=0.9,
            landmark_score=1.0,
            similarity_before=0.1,
            similarity_after=0.7,
        )
        return SwapResult(image_bgr=target_bgr[::-1].copy(), faces=(face,))

    monkeypatch.setattr(runtime, "swap", swap)


@pytest.fixture
def client_of() -> Callable[..., APIClient]:
    """An API client that is signed in as the given user."""

    def make(user) -> APIClient:
        client = APIClient()
        client.force_authenticate(user)
        return client

    return make
