"""The throw-away server of a run, and copies of its prepared database."""

from __future__ import annotations

import shutil
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
from facefusion_site.embedded.servers import Servers
from facefusion_site.embedded.state import Addresses

BASE: Final = "facefusion"
DURABILITY: Final = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True, slots=True)
class Server:
    """Where a run finds its server, its programs and a folder for its files."""

    addresses: Addresses
    bin_dir: Path
    folder: Path

    def url(self, *, database: str) -> str:
        """The address of one of the server's databases, with its password."""
        return f"{self.addresses.database_url.rpartition('/')[0]}/{database}"


@contextmanager
def throwaway() -> Iterator[Server]:
    """Durable servers in a folder that is removed at the end.

    Raises:
        EmbeddedError: a server cannot start or stop.
    """
    folder = Path(tempfile.mkdtemp(prefix="facefusion-bench-"))
    # The servers' user must be able to pass through; names inside stay hidden.
    folder.chmod(0o711)
    servers = Servers(home=folder / "servers", is_durable=True)
    try:
        addresses = servers.up()
        found = programs.find(data_dir=folder, run_as=None)
        yield Server(addresses=addresses, bin_dir=found.postgres_bin, folder=folder)
    finally:
        servers.down()
        shutil.rmtree(folder, ignore_errors=True)


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
        _administer(server, "DROP DATABASE {} WITH (FORCE)", name)


def create_empty(*, server: Server, name: str) -> None:
    """Create an empty database; it goes with the server."""
    _administer(server, "CREATE DATABASE {}", name)


def _administer(server: Server, statement: str, *names: str) -> None:
    # Nobody may be connected to a database that is copied.
    connection.close()
    url = server.url(database="postgres")
    with psycopg.connect(url, autocommit=True) as administration:
        administration.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
