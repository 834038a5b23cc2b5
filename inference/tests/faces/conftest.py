from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inference import runtime
from inference.tests import factories, real_engine
from inference.tests.faces import steps


@pytest.fixture(scope="package")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The built-in models; the engine of this process is closed when the last test is done."""
    yield real_engine.build_models(tmp_path_factory.mktemp("models"))
    runtime.holder.close()


@pytest.fixture(autouse=True)
def _real_models(settings, models_dir: Path) -> None:
    settings.MODELS_DIR = models_dir


@pytest.fixture
def user(db):
    return factories.make_user(tokens=50)


@pytest.fixture
def client(client_of, user):
    return client_of(user)


@pytest.fixture(scope="package")
def couple() -> bytes:
    """A PNG of two people, so that untouched pixels come back exactly."""
    return real_engine.side_by_side("astronaut.png", "grace_hopper.jpg")


@pytest.fixture(scope="package")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds: one person all the time, another one in the second half; two segments."""
    return steps.make_clip(tmp_path_factory.mktemp("clips") / "couple.mp4")
