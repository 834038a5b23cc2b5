"""Command line of the embedded servers; see ``--help``."""

import argparse
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from facefusion_site.embedded.errors import EmbeddedError
from facefusion_site.embedded.servers import PROJECT_HOME, Servers

_SIGNAL_EXIT_BASE = 128


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m facefusion_site.embedded", description=__doc__)
    parser.add_argument(
        "--home",
        type=Path,
        default=PROJECT_HOME,
        help="folder of the servers (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start both servers and leave them running")
    commands.add_parser("down", help="stop both servers")
    commands.add_parser("status", help="show what runs and its addresses; exit code 3 if down")
    throwaway = commands.add_parser(
        "throwaway", help="fresh servers that vanish when standard input closes"
    )
    throwaway.add_argument(
        "--durable", action="store_true", help="as safe as servers in production, and as slow"
    )
    run = commands.add_parser("run", help="run a command with the servers' addresses set")
    run.add_argument("argv", nargs="+", metavar="COMMAND")
    options = parser.parse_args(arguments)
    servers = Servers(home=options.home)
    try:
        if options.command == "run":
            return _run(servers, options.argv)
        if options.command == "throwaway":
            return _throwaway(is_durable=options.durable)
        actions = {"up": _up, "down": _down, "status": _status}
        return actions[options.command](servers)
    except EmbeddedError as error:
        _say(f"error: {error}")
    except OSError as error:
        hint = " Free some space, then try again." if error.errno == errno.ENOSPC else ""
        place = f"{error.filename}: " if error.filename else ""
        _say(f"error: {place}{error.strerror}.{hint}")
    return 1


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _up(servers: Servers) -> int:
    servers.up()
    status = servers.status()
    _say(f"PostgreSQL (process {status.postgres_pid}) and Valkey (process {status.valkey_pid}) run")
    return 0


def _down(servers: Servers) -> int:
    was_up = servers.down()
    _say("PostgreSQL and Valkey are stopped" if was_up else "Nothing was running")
    return 0


def _status(servers: Servers) -> int:
    status = servers.status()
    for name, pid in (("PostgreSQL", status.postgres_pid), ("Valkey", status.valkey_pid)):
        _say(f"{name}: {f'process {pid}' if pid else 'down'}")
    if status.postgres_pid is None or status.valkey_pid is None:
        return 3
    if status.addresses:
        for name, value in status.addresses.environ().items():
            sys.stdout.write(f"{name}={value}\n")
    return 0


def _run(servers: Servers, argv: Sequence[str]) -> int:
    """Run a command between ``up`` and ``down``; pass its signals in and its exit code out."""
    with servers.session() as addresses:
        try:
            child = subprocess.Popen(argv, env={**os.environ, **addresses.environ()})
        except OSError as error:
            raise EmbeddedError(f"Cannot execute {argv[0]}: {error.strerror}") from error
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: child.send_signal(received))
        # The terminal sends Ctrl-C to the child as well; it decides when to end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = child.wait()
    return code if code >= 0 else _SIGNAL_EXIT_BASE - code


def _throwaway(*, is_durable: bool) -> int:
    """Serve one run: print the addresses as JSON, wait for the end of input, remove all.

    The end of input comes also when the run is killed, so nothing is left behind.
    """
    # A terminal's Ctrl-C is for the tests; their end closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    root = Path(tempfile.mkdtemp(prefix="facefusion-"))
    # The servers' user must be able to pass through; names inside stay hidden.
    root.chmod(0o711)
    servers = Servers(home=root / "servers", is_durable=is_durable)
    try:
        environ = {**servers.up().environ(), "MEDIA_ROOT": str(root / "media")}
        sys.stdout.write(json.dumps(environ) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        servers.down()
        shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
