"""``python -m benchmarks.api``: see the package."""

from __future__ import annotations

import argparse
import importlib
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Final

import django

from benchmarks.ledger import server as servers
from facefusion_site.embedded.errors import EmbeddedError

SETTINGS: Final = "facefusion_site.settings.prod"
NO_LIMIT: Final = "1000000/s"


def main() -> int:
    """Measure and print; 0 when everything was measured, whatever the figures."""
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with servers.throwaway() as server:
            os.environ.update(server.environ, **_production(server.folder))
            django.setup()
            # Imported late: models need the settings.
            session = importlib.import_module("benchmarks.api.session")
            session.run(folder=server.folder, is_quick=options.quick)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 1
    except EmbeddedError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _production(folder: Path) -> dict[str, str]:
    """Settings of production behind a proxy; limits are counted and never reached."""
    secret_names = ("SECRET_KEY", "API_KEY_PEPPER", "LEDGER_STATEMENT_KEY", "FACTOR_SECRET_KEYS")
    return {
        **{name: secrets.token_urlsafe(48) for name in secret_names},
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "PUBLIC_URL": "https://127.0.0.1",
        "ALLOWED_HOSTS": "127.0.0.1",
        "TRUSTED_PROXY_HOPS": "1",
        "STATIC_ROOT": str(folder / "static"),
        "MEDIA_ROOT": str(folder / "media"),
        # The question is asked all the same; the answer is not looked at.
        "CONSENT_REQUIRED": "off",
        "API_RATE": NO_LIMIT,
        "JOBS_RATE": NO_LIMIT,
        # So that each job is sent to the workers, which is more work than to let it wait.
        "JOBS_AT_ONCE": '{"free": 1000000}',
    }


if __name__ == "__main__":
    sys.exit(main())
