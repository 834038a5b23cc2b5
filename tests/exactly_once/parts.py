"""The parts of a site that can be killed, each with what starts it again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx

from facefusion_site.embedded import processes, programs
from facefusion_site.embedded.state import State
from facefusion_site.embedded.valkey import Valkey
from tests.workers import ROOT

START_WAIT_S = 60


class Broker:
    """A Valkey that keeps nothing on disk: killed, it has forgotten every message."""

    def __init__(self, home: Path) -> None:
        run_as = processes.choose_user(data_dir=home)
        self._program = programs.find(data_dir=home, run_as=run_as).valkey_server
        self._valkey = Valkey(home / "valkey", run_as, is_durable=False)
        self._valkey.home.mkdir()
        processes.own_folder(self._valkey.home, run_as=run_as)
        self._state = replace(State.new(), valkey_port=processes.free_port())

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._state.addresses().redis_url

    def start(self) -> None:
        """Come back when it answers."""
        self._valkey.start(self._state, program=self._program)

    def kill(self) -> None:
        """SIGKILL."""
        pid = self._valkey.running_pid()
        assert pid is not None, self._valkey.log.read_text()
        os.kill(pid, signal.SIGKILL)
        # The kernel closes its port a moment later, and whoever starts again needs the port.
        address = ("127.0.0.1", self._state.valkey_port)
        with suppress(ConnectionError):
            while True:
                socket.create_connection(address, timeout=START_WAIT_S).close()
                time.sleep(0.01)

    def stop(self) -> None:
        """End it in peace."""
        self._valkey.stop()


class Program:
    """A process group of the site: the web server, or a worker with its scheduler."""

    def __init__(self, name: str, arguments: list[str], *, log: Path) -> None:
        self._command = [sys.executable, "-m", *arguments]
        self._log = log / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: dict[str, str]) -> None:
        """Start it, without waiting for anything."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to all of its processes at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)

    def log(self) -> str:
        """The end of what it has written."""
        return self._log.read_text()[-4000:] if self._log.exists() else ""


def await_answer(url: str, *, hint: Program) -> None:
    """Wait until the web server answers."""
    deadline = time.monotonic() + START_WAIT_S
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz", timeout=2).status_code == httpx.codes.OK:
                return
        assert time.monotonic() < deadline, hint.log()
        time.sleep(0.05)
