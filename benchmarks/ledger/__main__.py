"""``python -m benchmarks.ledger``: see the package."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from typing import Final

import django

from benchmarks.ledger import server as servers
from facefusion_site.embedded.errors import EmbeddedError

# Without a pool and with short logs; durability is the server's matter.
SETTINGS: Final = "facefusion_site.settings.test"


def main() -> int:
    """Measure and print; 0 when everything was measured, whatever the figures."""
    parser = argparse.ArgumentParser(prog="make bench-ledger", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quick", action="store_true", help="fewer accounts, shorter; a minute")
    form.add_argument(
        "--costs", action="store_true", help="only what indexes, constraints and the ORM cost"
    )
    options = parser.parse_args()
    # An ended terminal or container stops the clients like Ctrl-C does; a shell that starts this in
    # the background has even that one switched off.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with servers.throwaway() as server:
            os.environ.update(server.environ, DJANGO_SETTINGS_MODULE=SETTINGS)
            django.setup()
            # Imported late: models need the settings.
            session = importlib.import_module("benchmarks.ledger.session")
            session.run(server=server, is_quick=options.quick, is_about_costs=options.costs)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 1
    except EmbeddedError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
