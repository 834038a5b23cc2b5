"""The embedded Valkey: a server of the Redis protocol for the queue and the cache."""

import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from facefusion_site.embedded import processes
from facefusion_site.embedded.errors import EmbeddedError, PortTakenError
from facefusion_site.embedded.state import State

_START_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Valkey:
    """One server in one folder.

    Attributes:
        home: Folder of the configuration, the append-only file and the log.
        run_as: User of the process; None is ourselves.
        is_durable: Keep messages on disk; False makes throw-away servers fast.
    """

    home: Path
    run_as: processes.RunAs | None
    is_durable: bool

    @property
    def _config(self) -> Path:
        return self.home / "valkey.conf"

    @property
    def log(self) -> Path:
        """Where the server writes its messages."""
        return self.home / "valkey.log"

    def running_pid(self) -> int | None:
        """Return the process id of this folder's server, or None."""
        with suppress(FileNotFoundError, ValueError):
            pid = int((self.home / "valkey.pid").read_text())
            if processes.is_running(pid, marker=str(self._config)):
                return pid
        return None

    def start(self, state: State, *, program: Path) -> None:
        """Start ``program`` on ``state.valkey_port``.

        Raises:
            PortTakenError: Something else listens on the port.
            EmbeddedError: The server cannot start; the text says why.
        """
        # A second server on the same append-only file would damage it.
        self.stop()
        processes.write_private(self._config, self._config_text(state), run_as=self.run_as)
        logged_before = self.log.stat().st_size if self.log.exists() else 0
        server = processes.spawn(
            [program, self._config], run_as=self.run_as, log=self.log, cwd=self.home
        )
        deadline = time.monotonic() + _START_WAIT_S
        while not self.answers(state):
            if server.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            processes.let_go(server)
            return
        self.stop()
        text = processes.read_from(self.log, logged_before)
        if "Address already in use" in text:
            raise PortTakenError(f"Another program listens on port {state.valkey_port}.")
        raise EmbeddedError(
            processes.explain(text, server="Valkey", port=state.valkey_port, log=self.log)
        )

    def stop(self) -> None:
        """End the server, which writes its file first. Does nothing when it is down.

        Raises:
            EmbeddedError: The server does not end.
        """
        pid = self.running_pid()
        if pid is None:
            return
        asked = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
        if not processes.end(pid, marker=str(self._config), signals=asked):
            raise EmbeddedError(f"Valkey (process {pid}) does not stop; see {self.log}.")

    def answers(self, state: State) -> bool:
        """Tell whether the server of this very folder answers with the recorded password."""
        client = redis.Redis(
            host="127.0.0.1",
            port=state.valkey_port,
            password=state.valkey_password,
            socket_timeout=2,
            # Another program may hold the port and say nothing: ask once.
            retry=Retry(NoBackoff(), retries=0),
            decode_responses=True,
        )
        try:
            return client.config_get("dir") == {"dir": str(self.home)}
        except (redis.RedisError, OSError):
            return False
        finally:
            client.close()

    def _config_text(self, state: State) -> str:
        keep = "yes" if self.is_durable else "no"
        return "\n".join(
            [
                "bind 127.0.0.1",
                f"port {state.valkey_port}",
                f"requirepass {state.valkey_password}",
                f"dir {_quoted(self.home)}",
                f"pidfile {_quoted(self.home / 'valkey.pid')}",
                f"appendonly {keep}",
                'save ""',
                # Queued jobs are no cache entries: a full server must say so, not forget them.
                "maxmemory-policy noeviction",
                # Keeps the command line, by which a left-over server is recognised.
                "set-proc-title no",
                "",
            ]
        )


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
