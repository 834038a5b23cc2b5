"""Both servers together: where their files go, start, stop, report."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from facefusion_site.embedded import processes, programs
from facefusion_site.embedded import state as states
from facefusion_site.embedded.errors import EmbeddedError, PortTakenError
from facefusion_site.embedded.postgres import Postgres
from facefusion_site.embedded.state import Addresses, State
from facefusion_site.embedded.valkey import Valkey

# Of this clone; settings for development look here for the recorded addresses.
PROJECT_HOME = Path(__file__).resolve().parents[2] / ".data" / "embedded"
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
            is_pinned: Stay up when the last ``session`` ends; False leaves an earlier pin as it is.

        Raises:
            EmbeddedError: A server cannot start; the text says why and what to do.
        """
        self._make_home()
        with states.exclusive(self.home):
            state = states.load(self.home) or State.new()
            state = replace(state, is_pinned=state.is_pinned or is_pinned)
            state = self._prepare_folders(state)
            states.save(self.home, state)
            postgres, valkey = self._servers(state)
            is_postgres_up = postgres.running_pid() and postgres.answers(state)
            is_valkey_up = valkey.running_pid() and valkey.answers(state)
            if is_postgres_up and is_valkey_up:
                return state.addresses()
            found = programs.find(data_dir=self._data_dir(state), run_as=postgres.run_as)
            if not is_postgres_up:
                state = self._start_on_free_port(
                    state,
                    with_port=lambda it, port: replace(it, postgres_port=port),
                    port=state.postgres_port,
                    start=lambda it: postgres.start(it, binaries=found.postgres_bin),
                )
            if not is_valkey_up:
                state = self._start_on_free_port(
                    state,
                    with_port=lambda it, port: replace(it, valkey_port=port),
                    port=state.valkey_port,
                    start=lambda it: valkey.start(it, program=found.valkey_server),
                )
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

    @contextmanager
    def session(self) -> Iterator[Addresses]:
        """Use the servers for a while: started before, stopped after.

        They stay when another session still uses them or when ``up`` asked them to.

        Raises:
            EmbeddedError: A server cannot start or stop.
        """
        self._make_home()
        with (self.home / "users").open("w") as file:
            # Taken before the start, so that a session which ends now does not stop our servers.
            fcntl.flock(file, fcntl.LOCK_SH)
            try:
                yield self.up(is_pinned=False)
            finally:
                with suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    state = states.load(self.home)
                    if state is not None and not state.is_pinned:
                        self.down()

    def status(self) -> Status:
        """Report what runs, without changing anything."""
        state = states.load(self.home)
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

    def _prepare_folders(self, state: State) -> State:
        """Make the servers' folders, outside of the home where their user cannot enter that."""
        run_as = processes.choose_user(data_dir=self._data_dir(state))
        try:
            if run_as is not None:
                # The servers' user passes through; it reads nothing but its own folders.
                self.home.chmod(0o711)
            if state.data_dir is None and not processes.can_reach(self.home, run_as=run_as):
                name = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
                _OUTSIDE.mkdir(parents=True, exist_ok=True)
                _OUTSIDE.chmod(0o755)
                state = replace(state, data_dir=str(_OUTSIDE / name))
                self._data_dir(state).mkdir(exist_ok=True)
                self._data_dir(state).chmod(0o711)
            for folder in (self._data_dir(state) / "postgres", self._data_dir(state) / "valkey"):
                folder.mkdir(exist_ok=True)
                processes.own_folder(folder, run_as=run_as)
        except OSError as error:
            raise EmbeddedError(
                f"Cannot prepare {error.filename}: {error.strerror}. Was it made by another user? "
                f"Work as that user, or delete {self._data_dir(state)} to start over."
            ) from error
        return state

    def _data_dir(self, state: State) -> Path:
        return Path(state.data_dir) if state.data_dir else self.home

    def _servers(self, state: State) -> tuple[Postgres, Valkey]:
        data_dir = self._data_dir(state)
        run_as = processes.choose_user(data_dir=data_dir)
        return (
            Postgres(data_dir / "postgres", run_as, self._is_durable),
            Valkey(data_dir / "valkey", run_as, self._is_durable),
        )

    def _start_on_free_port(
        self,
        state: State,
        *,
        port: int,
        with_port: Callable[[State, int], State],
        start: Callable[[State], None],
    ) -> State:
        """Start one server on its recorded port, or on a fresh one when that is taken."""
        for attempt in range(_PORT_TRIES):
            if attempt or not port:
                state = with_port(state, processes.free_port())
            with suppress(PortTakenError):
                start(state)
                states.save(self.home, state)
                return state
        raise EmbeddedError(
            f"No free port was found on 127.0.0.1 in {_PORT_TRIES} tries. End some programs, then "
            "try again."
        )


def project_servers() -> Servers:
    """Return the servers of this clone, under ``.data/embedded``."""
    return Servers(home=PROJECT_HOME)
