"""The web server as in production, with the product or with the bare view."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
READY_WAIT_S: Final = 60.0
END_WAIT_S: Final = 40.0


@dataclass(frozen=True, slots=True)
class Site:
    """A WSGI application, the settings of its server, and a path that answers once it is ready."""

    application: str
    config: str
    ready_path: str


PRODUCT: Final = Site("facefusion_site.wsgi:application", "gunicorn.conf.py", "/healthz")
BARE: Final = Site("benchmarks.api.bare:application", "benchmarks/api/bare_gunicorn.py", "/")


@contextmanager
def serving(site: Site, *, log: Path) -> Iterator[int]:
    """Serve a site; gives the port.

    Args:
        site: what to serve.
        log: where the server writes.

    Raises:
        RuntimeError: it does not answer within READY_WAIT_S seconds.
    """
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", site.config, site.application]
    with log.open("wb") as output:
        server = subprocess.Popen(  # noqa: S603  # our own interpreter, constant arguments
            command,
            cwd=ROOT,
            env={**os.environ, "WEB_BIND": f"127.0.0.1:{port}"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(server, url=f"http://127.0.0.1:{port}{site.ready_path}", log=log)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[bytes], *, url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WAIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5.0):  # noqa: S310  # http to ourselves
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"The web server does not answer:\n{log.read_text(errors='replace')}")
