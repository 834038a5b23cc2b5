"""``python -m benchmarks.console``: see the package."""

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

# Without a pool and with short logs; the pages are the same.
SETTINGS: Final = "facefusion_site.settings.test"


def main() -> int:
    """Fill, measure and print; 0 when everything was measured, whatever the figures."""
    parser = argparse.ArgumentParser(prog="make bench-console", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the rows; a minute")
    parser.add_argument(
        "--here",
        choices=["fill", "measure"],
        help="one step alone, in the empty or filled database of DATABASE_URL, which is kept",
    )
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        if options.here:
            _run(steps=[options.here], is_quick=options.quick)
        else:
            with servers.throwaway() as server:
                os.environ.update(server.environ)
                _run(steps=["fill", "measure"], is_quick=options.quick)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 1
    except EmbeddedError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _run(*, steps: list[str], is_quick: bool) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    django.setup()
    # Imported late: models need the settings.
    session = importlib.import_module("benchmarks.console.session")
    session.run(steps=steps, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
