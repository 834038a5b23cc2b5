"""What is remembered between runs: ports, passwords, and where the servers keep their files.

Imports the standard library only, so that settings can read the addresses at no cost.
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from facefusion_site.embedded.errors import EmbeddedError

_LOCK_WAIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the two servers answer. Both URLs hold passwords."""

    database_url: str
    redis_url: str

    def environ(self) -> dict[str, str]:
        """Return the variables that the settings read."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


@dataclass(frozen=True, slots=True)
class State:
    """The content of ``state.json``.

    Attributes:
        postgres_port: TCP port on 127.0.0.1; 0 until the first start.
        valkey_port: TCP port on 127.0.0.1; 0 until the first start.
        owner_password: Password of the role that owns the database.
        superuser_password: Password of PostgreSQL's superuser.
        valkey_password: Password of Valkey's default user.
        data_dir: Folder of the servers' files when they cannot live beside ``state.json``.
        is_pinned: ``up`` was called, so a finishing ``run`` leaves the servers alone.
    """

    postgres_port: int
    valkey_port: int
    owner_password: str
    superuser_password: str
    valkey_password: str
    data_dir: str | None = None
    is_pinned: bool = False

    @classmethod
    def new(cls) -> "State":
        """Make a state with fresh passwords and no ports."""
        return cls(
            postgres_port=0,
            valkey_port=0,
            owner_password=secrets.token_urlsafe(24),
            superuser_password=secrets.token_urlsafe(24),
            valkey_password=secrets.token_urlsafe(24),
        )

    def addresses(self) -> Addresses:
        """Build the URLs of both servers."""
        return Addresses(
            database_url=(
                f"postgres://facefusion:{self.owner_password}"
                f"@127.0.0.1:{self.postgres_port}/facefusion"
            ),
            redis_url=f"redis://:{self.valkey_password}@127.0.0.1:{self.valkey_port}/0",
        )


def load(home: Path) -> State | None:
    """Read ``state.json``; None when the servers were never started here.

    Raises:
        EmbeddedError: The file cannot be read or understood.
    """
    path = home / "state.json"
    try:
        return State(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise EmbeddedError(
            f"{path} belongs to another user. Work as that user, or delete {home} to start over."
        ) from error
    except (ValueError, TypeError) as error:
        raise EmbeddedError(f"{path} is damaged. Delete {home} to start over.") from error


def save(home: Path, state: State) -> None:
    """Replace ``state.json`` in one step, readable by its owner alone."""
    path = home / "state.json"
    fresh = home / "state.json.new"
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=2)
    if os.geteuid() == 0 and path.exists():
        # Root works beside the person who owns the clone: leave the file theirs.
        owner = path.stat()
        os.chown(fresh, owner.st_uid, owner.st_gid)
    fresh.replace(path)


@contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Hold the folder's lock: starts and stops run one after another.

    Raises:
        EmbeddedError: Another process held the lock for too long.
    """
    deadline = time.monotonic() + _LOCK_WAIT_S
    with (home / "lock").open("w") as file:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"Another process has been starting or stopping the servers in {home} for "
                    f"{_LOCK_WAIT_S:.0f} s. Wait for it or end it, then try again."
                )
            time.sleep(0.05)
        yield
