"""Liveness and readiness against the real servers, and against servers that are down or mute."""

import json
import logging
import socket
import time
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from facefusion_site.settings.logging import logging_config


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_healthz_needs_no_server_no_session_and_no_known_host(client: Client) -> None:
    response = client.get("/healthz", headers={"host": "10.1.2.3:8000"})

    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert response.headers["Cache-Control"] == "no-store"
    assert not response.cookies


@pytest.mark.django_db
def test_readyz_lists_every_check(client: Client) -> None:
    response = client.get("/readyz", headers={"host": "10.1.2.3:8000"})

    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ok"
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "ok",
        "migrations": "ok",
        "broker": "ok",
        "cache": "ok",
    }


@pytest.mark.django_db
def test_readyz_names_a_queue_that_is_down(
    client: Client, settings: Settings, closed_port: int
) -> None:
    settings.CELERY_BROKER_URL = f"redis://:top-secret@127.0.0.1:{closed_port}/0"

    response = client.get("/readyz")

    assert response.status_code == 503
    checks = response.json()["checks"]
    assert checks["broker"] == {"status": "failed", "reason": "does not answer (ConnectionError)"}
    assert checks["cache"]["status"] == "ok"
    assert checks["database"]["status"] == "ok"
    assert "top-secret" not in response.content.decode()


@pytest.mark.django_db
def test_readyz_names_a_database_that_is_down(
    client: Client, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setitem(connection.settings_dict, "PORT", closed_port)

    response = client.get("/readyz")

    assert response.status_code == 503
    checks = response.json()["checks"]
    assert checks["database"]["reason"] == "does not answer (OperationalError)"
    assert checks["migrations"]["status"] == "failed"
    assert checks["broker"]["status"] == "ok"
    assert str(connection.settings_dict["PASSWORD"]) not in response.content.decode()


@pytest.mark.django_db
def test_readyz_answers_in_time_when_the_servers_hang(
    client: Client,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    mute_port: int,
) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{mute_port}/0"
    monkeypatch.setitem(connection.settings_dict, "PORT", mute_port)
    started = time.monotonic()

    response = client.get("/readyz")

    assert time.monotonic() - started < 12
    assert response.status_code == 503
    failed = {name for name, it in response.json()["checks"].items() if it["status"] == "failed"}
    assert failed == {"database", "migrations", "broker"}


@pytest.mark.django_db(transaction=True)
def test_readyz_refuses_a_release_whose_migrations_are_missing(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'sessions' RETURNING name, applied"
        )
        rows = cursor.fetchall()
        try:
            response = client.get("/readyz")
        finally:
            cursor.executemany(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('sessions', %s, %s)",
                rows,
            )

    assert rows
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == {
        "status": "failed",
        "reason": "1 apps have migrations that are not applied",
    }


@pytest.mark.django_db
def test_a_request_keeps_its_id_in_the_answer_and_in_json_log_lines(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        response = client.get("/no-such-page", headers={"x-request-id": "order-4711.a"})

    assert response.headers["X-Request-Id"] == "order-4711.a"
    handler = logging_config(level="INFO", json_lines=True)["formatters"]["line"]
    formatter = handler.pop("()")(**handler)
    lines = [
        json.loads(formatter.format(record))
        for record in caplog.records
        if record.name.startswith("django_structlog")
    ]
    finished = next(line for line in lines if line["event"] == "request_finished")
    assert finished["request_id"] == "order-4711.a"
    assert finished["code"] == 404
    assert finished["level"] == "warning"


@pytest.mark.django_db
@pytest.mark.parametrize("sent", ["", "two words", "x" * 65, 'a"b', "a\nb"])
def test_a_malformed_request_id_is_replaced(client: Client, sent: str) -> None:
    response = client.get("/no-such-page", headers={"x-request-id": sent})

    assert response.headers["X-Request-Id"] != sent
    assert len(response.headers["X-Request-Id"]) == 36
