"""Bring the signing secrets of webhooks under the newest key."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from accounts import services


class Command(BaseCommand):
    """Exits with 1 when a secret can be read with none of the keys; safe to repeat."""

    help = "Encrypt every webhook endpoint's secrets with the first of FACTOR_SECRET_KEYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--dry-run", action="store_true", help="change nothing; count what would be changed"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print what was done, and whose secret has to be rotated."""
        done = services.reencrypt_endpoints(is_dry_run=options["dry_run"])
        if options["json"]:
            self.stdout.write(json.dumps(asdict(done) | {"dry_run": options["dry_run"]}))
        else:
            text = (
                _("%(changed)d of %(total)d endpoints would be encrypted with the newest key.")
                if options["dry_run"]
                else _("%(changed)d of %(total)d endpoints were encrypted with the newest key.")
            )
            self.stdout.write(text % {"changed": done.changed, "total": done.total})
            for endpoint_id in done.unreadable:
                self.stderr.write(
                    _("No key opens the secret of endpoint %(id)s.") % {"id": endpoint_id}
                )
        if done.unreadable:
            sys.exit(1)
