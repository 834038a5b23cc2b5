"""Pytest plugin: gives each test run its own PostgreSQL and Valkey, removed at the end.

It is loaded by ``-p`` before pytest-django reads the settings. A run that finds DATABASE_URL and
REDIS_URL in its environment uses those servers instead. Where several processes share the tests
(``-n``), each has servers of its own: queues and caches have no other borders.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
# Tells the processes that share the tests from those that were given servers from outside.
_STARTED_HERE = "PYTEST_THROWAWAY_SERVERS"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Start the servers and put their addresses into the environment.

    A helper process holds them. It ends them when its input closes, which also happens when this
    process is killed.
    """
    if not early_config.known_args_namespace.collectonly and not _has_servers():
        holder = subprocess.Popen(
            [sys.executable, "-m", "facefusion_site.embedded", "throwaway"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        early_config.add_cleanup(lambda: _release(holder))
        assert holder.stdout is not None
        answer = holder.stdout.readline()
        if not answer:
            pytest.exit("The embedded servers did not start; the reason is above.", returncode=4)
        os.environ.update(json.loads(answer), **{_STARTED_HERE: "1"})
    return (yield)


def _has_servers() -> bool:
    if "PYTEST_XDIST_WORKER" in os.environ and _STARTED_HERE in os.environ:
        return False
    return bool(os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))


def _release(holder: subprocess.Popen[str]) -> None:
    holder.communicate(timeout=60)
