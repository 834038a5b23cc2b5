"""The embedded PostgreSQL: created once, started, asked whether it answers, stopped."""

import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from facefusion_site.embedded import processes
from facefusion_site.embedded.errors import EmbeddedError, PortTakenError
from facefusion_site.embedded.state import State

_START_WAIT_S = 60.0
# Whatever was there before needs this long to be gone: backends of a killed server notice and end.
_LEFTOVER_WAIT_S = 15.0
# No system hands out this process id, so a lock file that names it is stale for certain.
_NOBODYS_PID = 2_147_483_646
_SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=UTC")
_UNSAFE_BUT_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(frozen=True, slots=True)
class Postgres:
    """One server in one folder.

    Attributes:
        home: Folder of the data and the log.
        run_as: User of the processes; None is ourselves.
        is_durable: Data must survive a power cut; False makes throw-away servers fast.
    """

    home: Path
    run_as: processes.RunAs | None
    is_durable: bool

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        """Where the server writes its messages."""
        return self.home / "postgres.log"

    def running_pid(self) -> int | None:
        """Return the process id of this folder's server, or None."""
        with suppress(FileNotFoundError, ValueError):
            pid = int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
            if processes.is_running(pid, marker=str(self._data)):
                return pid
        return None

    def start(self, state: State, *, binaries: Path) -> None:
        """Start the server on ``state.postgres_port`` and make sure role and database exist.

        Args:
            state: Port and passwords.
            binaries: Folder with ``initdb`` and ``postgres``.

        Raises:
            PortTakenError: Something else listens on the port.
            EmbeddedError: The server cannot start; the text says why.
        """
        if not self._data.exists():
            self._create(state, initdb=binaries / "initdb")
        # It may run on another port, or without the recorded password, when the state was lost.
        self.stop()
        deadline = time.monotonic() + _LEFTOVER_WAIT_S
        while True:
            self._forget_dead_server()
            problem = self._launch(state, program=binaries / "postgres")
            if problem is None:
                break
            is_leftover = "lock file" in problem or "pre-existing shared memory" in problem
            if not is_leftover or time.monotonic() > deadline:
                raise EmbeddedError(
                    processes.explain(
                        problem, server="PostgreSQL", port=state.postgres_port, log=self.log
                    )
                )
            time.sleep(0.3)
        _provide_database(state)

    def stop(self) -> None:
        """End the server the fast way: open transactions roll back. Does nothing when it is down.

        Raises:
            EmbeddedError: The server does not end.
        """
        pid = self.running_pid()
        if pid is None:
            return
        asked = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))
        if not processes.end(pid, marker=str(self._data), signals=asked):
            raise EmbeddedError(f"PostgreSQL (process {pid}) does not stop; see {self.log}.")

    def answers(self, state: State) -> bool:
        """Tell whether the server of this very folder answers with the recorded password."""
        try:
            with _connect(state) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self._data

    def _create(self, state: State, *, initdb: Path) -> None:
        """Run initdb in a side folder, so an interrupted run leaves no half-made data behind."""
        fresh = self.home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self.home / "password"
        processes.write_private(password_file, state.superuser_password, run_as=self.run_as)
        command: list[str | Path] = [
            initdb,
            f"--pgdata={fresh}",
            "--username=postgres",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        if not self.is_durable:
            command.append("--no-sync")
        try:
            maker = processes.spawn(command, run_as=self.run_as, cwd=self.home)
            output, _ = maker.communicate()
        finally:
            password_file.unlink(missing_ok=True)
        if maker.returncode != 0:
            raise EmbeddedError(
                processes.explain(
                    output.decode(errors="replace"),
                    server="PostgreSQL (initdb)",
                    port=state.postgres_port,
                    log=self.log,
                )
            )
        fresh.rename(self._data)

    def _forget_dead_server(self) -> None:
        """Make a lock file left by a dead server look stale to PostgreSQL.

        PostgreSQL takes any living process with the recorded id for a server, also an unrelated
        or an uncollected one, and then refuses to start. Only the first line is replaced: the
        others let PostgreSQL still see whether old backends hold the shared memory.
        """
        lock = self._data / "postmaster.pid"
        with suppress(FileNotFoundError):
            _, newline, rest = lock.read_text().partition("\n")
            text = f"{_NOBODYS_PID}{newline}{rest}"
            processes.write_private(lock, text, run_as=self.run_as)

    def _launch(self, state: State, *, program: Path) -> str | None:
        """Start the process and wait for its first answer; on failure return what it logged."""
        command: list[str | Path] = [program, "-D", self._data]
        for setting in _SETTINGS + (() if self.is_durable else _UNSAFE_BUT_FAST):
            command += ["-c", setting]
        command += ["-c", f"port={state.postgres_port}"]
        logged_before = self.log.stat().st_size if self.log.exists() else 0
        server = processes.spawn(command, run_as=self.run_as, log=self.log, cwd=self.home)
        deadline = time.monotonic() + _START_WAIT_S
        while not self.answers(state):
            text = processes.read_from(self.log, logged_before)
            is_hopeless = "password authentication failed" in text
            if server.poll() is not None or is_hopeless or time.monotonic() > deadline:
                break
            time.sleep(0.03)
        else:
            processes.let_go(server)
            return None
        self.stop()
        text = processes.read_from(self.log, logged_before)
        if "Address already in use" in text or "could not create any TCP/IP sockets" in text:
            raise PortTakenError(f"Another program listens on port {state.postgres_port}.")
        return text


def _connect(state: State, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1",
        port=state.postgres_port,
        user="postgres",
        password=state.superuser_password,
        dbname=database,
        connect_timeout=2,
        autocommit=True,
    )


def _provide_database(state: State) -> None:
    """Create the application's role and database where they are missing.

    The role owns its database and may create others (test runs do), but is no superuser: a missing
    permission shows in development, not in production.
    """
    password = sql.Literal(state.owner_password)
    with _connect(state) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'facefusion'").fetchall():
            connection.execute(
                sql.SQL("CREATE ROLE facefusion LOGIN CREATEDB PASSWORD {}").format(password)
            )
        if not connection.execute(
            "SELECT FROM pg_database WHERE datname = 'facefusion'"
        ).fetchall():
            connection.execute("CREATE DATABASE facefusion OWNER facefusion")
