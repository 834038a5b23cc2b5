"""``manage.py bench_engine``: how fast this machine swaps, without database, broker or account."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Exit code 0: everything was measured, whatever the figures."""

    help = "Measure the engine's speed and memory on this machine; the last line is JSON."
    # Nothing here may need a database.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """How much is measured."""
        parser.add_argument("--quick", action="store_true", help="shorter clips, measured once")
        parser.add_argument("--no-heavy", action="store_true", help="leave the heavy stand-ins out")
        parser.add_argument(
            "--only",
            action="append",
            metavar="PART",
            help="stages, heavy, files, scaling or memory; several times for several",
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Measure and print."""
        # The benchmarks lie beside the apps; no other command needs to load them.
        from benchmarks.engine.suite import PARTS, measure  # noqa: PLC0415

        wanted = set(options["only"] or PARTS)
        if unknown := sorted(wanted - set(PARTS)):
            raise CommandError(f"'{unknown[0]}' is none of: {', '.join(PARTS)}")
        if options["no_heavy"]:
            wanted.discard("heavy")
        measure(is_quick=options["quick"], parts=wanted)
