"""A PostgreSQL server that can crash: durable, in a folder of its own."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from facefusion_site.embedded import processes, programs
from facefusion_site.embedded.postgres import Postgres
from facefusion_site.embedded.state import State
from facefusion_site.settings.connections import databases

STOP_WAIT_S = 30


class CrashingServer:
    """An embedded server with fsync on, as ``make up`` starts it."""

    def __init__(self, home: Path) -> None:
        run_as = processes.choose_user(data_dir=home)
        self._binaries = programs.find(data_dir=home, run_as=run_as).postgres_bin
        self._postgres = Postgres(home / "postgres", run_as, is_durable=True)
        self._postgres.home.mkdir()
        processes.own_folder(self._postgres.home, run_as=run_as)
        self._state = replace(State.new(), postgres_port=processes.free_port())

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._state.addresses().database_url

    @property
    def database(self) -> dict[str, Any]:
        """What Django needs to connect."""
        return databases(url=self.url, pool_max=0)["default"]

    @property
    def log(self) -> str:
        """All that the server has logged."""
        return self._postgres.log.read_text()

    def start(self) -> None:
        """Start the server; after a crash it recovers first."""
        self._postgres.start(self._state, binaries=self._binaries)

    def crash(self) -> None:
        """Every server process quits where it stands, as after ``pg_ctl stop -m immediate``.

        The same signal, but at once: until a program has started, the work would be over.
        """
        postmaster = self._postgres.running_pid()
        assert postmaster is not None, self.log
        os.kill(postmaster, signal.SIGQUIT)
        deadline = time.monotonic() + STOP_WAIT_S
        while self._postgres.running_pid() is not None:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.005)

    def stop(self) -> None:
        """End it in peace."""
        self._postgres.stop()
