"""Starts real Celery workers for a test, on its database, broker and folders."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings as django_settings
from django.db import connection

from facefusion_site.celery import app

ROOT = Path(__file__).resolve().parents[1]
LEASE_S = 5


class Workers:
    """Starts worker processes with further environment variables; ends them all."""

    def __init__(self, folder: Path, *, queues: str = "swaps,default", **environment: str) -> None:
        self._folder = folder
        self._queues = queues
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "facefusion_site.settings.test",
            "DATABASE_URL": database_url(),
            "MEDIA_ROOT": str(django_settings.MEDIA_ROOT),
            "MODELS_DIR": str(django_settings.MODELS_DIR),
            "JOB_LEASE_S": str(LEASE_S),
            "LOG_LEVEL": "INFO",
            **environment,
        }

    def start(self, *, with_beat: bool) -> subprocess.Popen[bytes]:
        """One solo worker; with beat it also runs the periodic sweep."""
        name = f"w{len(self._processes)}"
        command = [sys.executable, "-m", "celery", "--app", "facefusion_site.celery", "worker"]
        command += ["--pool", "solo", "--queues", self._queues, "--hostname", f"{name}@test"]
        command += ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        if with_beat:
            command += ["--beat", "--schedule", str(self._folder / "beat-schedule")]
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("w*.log")))

    def end(self) -> None:
        for process in self._processes:
            # The group, because the embedded beat is a child that outlives a killed worker.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)


def database_url() -> str:
    """Where a process finds the database of the test."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


def empty_queues() -> None:
    """Nothing of an earlier test is delivered to these workers."""
    with app.connection_for_write() as broker:
        for queue in ("swaps", "default"):
            broker.SimpleQueue(queue).clear()


def wait_until(condition: Callable[[], bool], *, timeout_s: float, pause_s: float, hint) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing happened within {timeout_s} s\n{hint()}")
        time.sleep(pause_s)
