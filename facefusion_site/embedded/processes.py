"""Server processes: under which user they run, whether they still do, how they end."""

import os
import pwd
import secrets
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from facefusion_site.embedded.errors import EmbeddedError

# Below what Linux (32768) and others (49152) give to outgoing connections.
_SERVER_PORTS = range(20_000, 32_768)
_PORT_TRIES = 100


@dataclass(frozen=True, slots=True)
class RunAs:
    """The unprivileged user the servers run as when we are root; PostgreSQL refuses root."""

    uid: int
    gid: int


def choose_user(*, data_dir: Path) -> RunAs | None:
    """Pick the user for the servers: None means ourselves.

    Root hands over to the owner of existing data, so a clone that was used without root keeps
    working; otherwise to ``nobody``.

    Raises:
        EmbeddedError: We are root and there is no user ``nobody``.
    """
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        owner = (data_dir / "postgres").stat()
        if owner.st_uid != 0:
            return RunAs(owner.st_uid, owner.st_gid)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedError(
            "PostgreSQL refuses to run as root and this system has no user 'nobody' to run it as. "
            "Work as a normal user."
        ) from error
    return RunAs(entry.pw_uid, entry.pw_gid)


def spawn(
    command: list[str | Path], *, run_as: RunAs | None, log: Path | None = None, cwd: Path
) -> subprocess.Popen[bytes]:
    """Start a command in its own session, so a terminal's Ctrl-C does not reach it.

    Its output goes to ``log``, or into a pipe when there is none: only for commands that end.

    Raises:
        EmbeddedError: The program is missing or may not be executed.
    """
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    environ["LC_ALL"] = "C"
    output = _open_log(log, run_as=run_as) if log else subprocess.PIPE
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environ,
            start_new_session=True,
            umask=0o077,
            user=run_as.uid if run_as else None,
            group=run_as.gid if run_as else None,
            extra_groups=[] if run_as else None,
        )
    except OSError as error:
        raise EmbeddedError(
            f"Cannot execute {command[0]}: {error.strerror}. Install the development "
            "dependencies again with `make venv`; the path must be reachable by every user."
        ) from error
    finally:
        if log:
            os.close(output)


def let_go(process: subprocess.Popen[bytes]) -> None:
    """Hand a started server over to itself: it outlives us, so nobody here waits for its end."""
    process.returncode = 0


def own_folder(path: Path, *, run_as: RunAs | None) -> None:
    """Give a folder to the servers' user, closed to everybody else."""
    path.chmod(0o700)
    if run_as is not None:
        os.chown(path, run_as.uid, run_as.gid)


def write_private(path: Path, text: str, *, run_as: RunAs | None) -> None:
    """Replace a file of the servers' user, readable by that user alone.

    Root writes here into a folder of somebody else, so no link in it may be followed.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        if run_as is not None:
            os.fchown(file.fileno(), run_as.uid, run_as.gid)
    fresh.replace(path)


def _open_log(path: Path, *, run_as: RunAs | None) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    if run_as is not None:
        os.fchown(descriptor, run_as.uid, run_as.gid)
    return descriptor


def can_reach(path: Path, *, run_as: RunAs | None) -> bool:
    """Tell whether the servers' user can enter a folder or execute a file."""
    if run_as is None:
        return os.access(path, os.X_OK)
    probe = spawn(["/bin/sh", "-c", 'test -x "$0"', path], run_as=run_as, cwd=Path("/"))
    probe.communicate()
    return probe.returncode == 0


def is_running(pid: int, *, marker: str) -> bool:
    """Tell whether ``pid`` lives and its command line holds ``marker``.

    A process id alone proves nothing: it may be an ended process nobody has collected, or belong
    to another program since.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        state = stat.rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return False
        shown = subprocess.run(
            ["/bin/ps", "-o", "stat=,command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        state, _, command = shown.stdout.strip().partition(" ")
    return bool(state) and state[0] not in "ZX" and marker in command


def end(pid: int, *, marker: str, signals: tuple[tuple[signal.Signals, float], ...]) -> bool:
    """Send each signal in turn, giving the process the seconds named with it to end.

    Returns:
        Whether the process is gone.
    """
    for number, seconds in signals:
        if not is_running(pid, marker=marker):
            return True
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if not is_running(pid, marker=marker):
                return True
            time.sleep(0.02)
    return not is_running(pid, marker=marker)


def free_port() -> int:
    """A port nobody listens on at this moment, below those that systems give to outgoing calls.

    While a server is away, a client that calls again and again may be given the very port that it
    calls; then it talks to itself, and the server cannot come back.
    """
    for _ in range(_PORT_TRIES):
        port = secrets.choice(_SERVER_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise EmbeddedError("No free port was found between 20000 and 32767.")


def read_from(log: Path, offset: int) -> str:
    """Read what a server logged after the given byte."""
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace")


def explain(log_text: str, *, server: str, port: int, log: Path) -> str:
    """Turn the end of a server's log into one sentence and what to do about it."""
    if "No space left on device" in log_text:
        return f"{server} cannot start: the disk is full. Free some space, then try again."
    if "database files are incompatible" in log_text:
        return (
            f"{server} cannot start: the data in {log.parent} was made by another version. Delete "
            "that folder to start over with an empty database."
        )
    if "password authentication failed" in log_text:
        return (
            f"{server} refuses the recorded password: the data in {log.parent} and the recorded "
            "state do not belong together. Delete that folder to start over."
        )
    if "Read-only file system" in log_text:
        return f"{server} cannot start: its folder is on a read-only file system."
    if "Permission denied" in log_text or "Operation not permitted" in log_text:
        return (
            f"{server} cannot start: permission denied in {log.parent}. Did another user start it "
            f"here before? Work as that user or delete the folder. The log is {log}."
        )
    last = "\n".join(f"    {line}" for line in log_text.strip().splitlines()[-6:])
    return f"{server} did not start on port {port}. The end of {log}:\n{last}"
