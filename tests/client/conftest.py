"""Fixtures of the tests of the Python client: a live server, its workers, and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from facefusion_platform_client import Client, RetryPolicy

from accounts import services as accounts_services
from accounts.types import ROLE_SCOPES, Role
from inference.tests import factories, real_engine
from tests.workers import Workers, empty_queues

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ClientOf = Callable[..., Client]


@pytest.fixture
def client_of(settings, live_server, tmp_path: Path) -> Iterator[ClientOf]:
    """A client of the live server with the key of a new account."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.PUBLIC_URL = live_server.url
    clients: list[Client] = []

    def make(*, tokens: int = 0, role: Role = Role.USER, language: str = "en") -> Client:
        user = factories.make_user(tokens=tokens, role=role)
        key = accounts_services.issue_api_key(
            user_id=user.pk, name="client", scopes=ROLE_SCOPES[role]
        ).key
        client = Client(
            live_server.url, key, language=language, retry=RetryPolicy(attempts=3, base_s=0.01)
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
    cache.clear()


@pytest.fixture
def worker(settings, client_of, tmp_path: Path) -> Iterator[Workers]:
    """A real worker of the live server's jobs."""
    settings.MODELS_DIR = real_engine.build_models(tmp_path / "models")
    empty_queues()
    workers = Workers(tmp_path, queues="swaps,default,money")
    workers.start(with_beat=False)
    try:
        yield workers
    finally:
        workers.end()
