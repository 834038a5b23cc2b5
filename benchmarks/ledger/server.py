"""The throw-away server of a run, and copies of its prepared database."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from django.db import connection
from psycopg import sql

from facefusion_site.embedded import programs
from facefusion_site.embedded.errors import EmbeddedError

BASE: Final = "facefusion"
DURABILITY: Final = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True, slots=True)
class Server:
    """Where a run finds its server, its programs and a folder for its files."""

    environ: dict[str, str]
    bin_dir: Path
    folder: Path

    def url(self, *, database: str) -> str:
        """The address of one of the server's databases, with its password."""
        return f"{self.environ['DATABASE_URL'].rpartition('/')[0]}/{database}"


@contextmanager
def throwaway() -> Iterator[Server]:
    """Durable servers that are removed at the end, also when this process is killed.

    A helper process holds them until its input closes.

    Raises:
        EmbeddedError: a server did not start; the reason is on standard error.
    """
    command = [sys.executable, "-m", "facefusion_site.embedded", "throwaway", "--durable"]
    with (
        tempfile.TemporaryDirectory(prefix="facefusion-bench-") as folder,
        subprocess.Popen(  # noqa: S603  # our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as holder,
    ):
        assert holder.stdout is not None
        answer = holder.stdout.readline()
        if not answer:
            raise EmbeddedError("The servers did not start; the reason is above.")
        found = programs.find(data_dir=Path(folder), run_as=None)
        yield Server(environ=json.loads(answer), bin_dir=found.postgres_bin, folder=Path(folder))


def use_database(*, name: str) -> None:
    """Let this process's Django connection go to another database of the same server."""
    connection.close()
    connection.settings_dict["NAME"] = name


def describe() -> dict[str, str]:
    """Version and the settings that decide what a commit costs.

    Raises:
        RuntimeError: the server may lose commits, so its figures would be worth nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, current_setting(name) FROM unnest(%s::text[]) name",
            [[*DURABILITY, "server_version", "shared_buffers", "max_wal_size"]],
        )
        settings = dict(cursor.fetchall())
    if any(settings[name] != "on" for name in DURABILITY):
        raise RuntimeError(f"The server is not durable: {settings}")
    return settings


@contextmanager
def copy_of_base(*, server: Server, name: str) -> Iterator[str]:
    """A copy of the prepared database, used by this process until it is dropped again.

    Every way to write is measured from the same state of the same pages. The copy is made of
    files, which forces a checkpoint before and after it.
    """
    _administer(server, "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, BASE)
    use_database(name=name)
    try:
        yield name
    finally:
        use_database(name=BASE)
        _disconnect(server, name)
        _administer(server, "DROP DATABASE {}", name)


def create_empty(*, server: Server, name: str) -> None:
    """Create an empty database; it goes with the server."""
    _administer(server, "CREATE DATABASE {}", name)


def _disconnect(server: Server, name: str) -> None:
    # Only our own connections: dropping waits for an autovacuum by itself, whereas WITH (FORCE)
    # would end it, which takes more rights than we have.
    with psycopg.connect(server.url(database="postgres"), autocommit=True) as administration:
        administration.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = current_user",
            [name],
        )


def _administer(server: Server, statement: str, *names: str) -> None:
    # Nobody may be connected to a database that is copied.
    connection.close()
    url = server.url(database="postgres")
    with psycopg.connect(url, autocommit=True) as administration:
        administration.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
