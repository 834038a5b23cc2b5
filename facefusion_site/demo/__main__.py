"""``python -m facefusion_site.demo``: see the package."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from facefusion_site.demo.processes import ProcessDiedError, Supervisor
from facefusion_site.embedded.errors import EmbeddedError
from facefusion_site.embedded.servers import project_servers

if TYPE_CHECKING:
    from facefusion_site.demo.people import Person

ROOT: Final = Path(__file__).resolve().parents[2]
DATA_DIR: Final = ROOT / ".data" / "demo"
SETTINGS: Final = "facefusion_site.settings.dev"
READY_PATIENCE_S: Final = 60.0
PREFERRED_PORT: Final = 8000
SOURCE: Final = ROOT / "samples" / "astronaut.png"
TARGET: Final = ROOT / "samples" / "grace_hopper.jpg"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; 0 only if every step worked."""
    parser = argparse.ArgumentParser(
        prog="make demo", description="Swap a face for tokens, from an empty folder."
    )
    parser.add_argument("--exit", action="store_true", help="stop everything at the end")
    parser.add_argument(
        "--port", type=int, help=f"of the web server; {PREFERRED_PORT} or a free one when left out"
    )
    options = parser.parse_args(arguments)
    # An ended terminal or a stopped container tidies up like Ctrl-C does; a shell that starts this
    # in the background has even that one switched off.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    try:
        with project_servers().session() as addresses:
            port = options.port or _free_port()
            base_url = f"http://127.0.0.1:{port}"
            os.environ.update(
                addresses.environ(), DJANGO_SETTINGS_MODULE=SETTINGS, PUBLIC_URL=base_url
            )
            children = dict(os.environ)
            # Here the steps are the log; the children's logs are files.
            os.environ["LOG_LEVEL"] = "WARNING"
            _tell(f"PostgreSQL and Valkey answer after {time.monotonic() - started:.1f} s.")
            supervisor = Supervisor(folder=ROOT, log_dir=DATA_DIR / "logs", environ=children)
            _demonstrate(supervisor, base_url=base_url, port=port, stays=not options.exit)
    except KeyboardInterrupt:
        _tell("Stopped.")
        return 0 if not options.exit else 1
    except (EmbeddedError, ProcessDiedError, OSError, RuntimeError) as error:
        sys.stderr.write(f"The demo failed: {error}\n")
        return 1
    return 0


def _demonstrate(supervisor: Supervisor, *, base_url: str, port: int, stays: bool) -> None:
    """Prepare the database and the models, start the processes, play the journey."""
    # Imported late: Django needs the addresses in the environment first.
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    from facefusion_site.demo import journey, people  # noqa: PLC0415

    call_command("migrate", interactive=False, verbosity=0)
    call_command("models", "build")
    persons = people.provide(password_file=DATA_DIR / "passwords.json")
    with supervisor:
        _start(supervisor, port=port)
        _wait_until_ready(base_url, supervisor.check)
        _tell(f"The web server, the worker and the scheduler run; logs in {supervisor.log_dir}\n")
        try:
            picture = journey.Journey(
                base_url=base_url,
                operator=persons["demo-operator"],
                user=persons["alice"],
                other=persons["bob"],
                tell=_tell,
                check=supervisor.check,
            ).run(source=SOURCE, target=TARGET, result=DATA_DIR / "result")
        except (journey.JourneyError, httpx.HTTPError) as error:
            raise RuntimeError(str(error)) from error
        _show_addresses(base_url=base_url, persons=persons, picture=picture)
        if stays:
            _tell("\nEverything keeps running until Ctrl-C.")
            while True:
                supervisor.check()
                time.sleep(1)


def _start(supervisor: Supervisor, *, port: int) -> None:
    supervisor.start(
        "web",
        "gunicorn",
        "facefusion_site.wsgi:application",
        f"--bind=127.0.0.1:{port}",
        "--workers=1",
        "--no-control-socket",
    )
    celery = ("celery", "--app=facefusion_site")
    queues = "--queues=swaps,money,default,webhooks"
    supervisor.start("worker", *celery, "worker", "--pool=solo", queues, "--loglevel=INFO")
    supervisor.start("beat", *celery, "beat", "--loglevel=INFO")


def _wait_until_ready(base_url: str, check: Callable[[], None]) -> None:
    deadline = time.monotonic() + READY_PATIENCE_S
    while time.monotonic() < deadline:
        check()
        try:
            if httpx.get(f"{base_url}/readyz", timeout=5.0).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"The web server is not ready after {READY_PATIENCE_S:.0f} s.")


def _show_addresses(*, base_url: str, persons: dict[str, Person], picture: Path) -> None:
    admin, user = persons["demo-admin"], persons["alice"]
    _tell(
        f"""
The result:     {picture}
Your studio:    {base_url}/          login {user.user_ref}   password {user.password}
The console:    {base_url}/admin/    login {admin.user_ref}   password {admin.password}
The API:        {base_url}/api/docs  key of {user.user_ref}, valid for a day:
                {user.api_key}"""
    )


def _free_port() -> int:
    """The usual port when nobody uses it, else one from the system."""
    with socket.socket() as probe:
        # As the web server does: a port that was just closed counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PREFERRED_PORT))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
