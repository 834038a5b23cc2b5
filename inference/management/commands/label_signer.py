"""``manage.py label_signer``: a key and a certificate of one's own for signing labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from inference import labelling


class Command(BaseCommand):
    """Exit code 0: both files are written; 1: they are not."""

    help = (
        "Make a key and a certificate that sign the labels of results, in the new folder DIR. "
        "Other programs show the signer as unknown, because no authority vouches for it."
    )
    # It makes what one of the checks asks for.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("dir", type=Path, metavar="DIR")
        parser.add_argument(
            "--organization", required=True, help="who runs the service, as readers will see it"
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Write the files and say what to set."""
        name = options["organization"].strip()
        # The length is X.509's.
        if not 1 <= len(name) <= 64:  # noqa: PLR2004
            raise CommandError("--organization must have 1 to 64 characters")
        try:
            key, chain = labelling.write_new_signer(options["dir"], organization=name)
        except OSError as error:
            raise CommandError(f"{options['dir']}: {error.strerror}") from error
        self.stdout.write(f"LABEL_SIGNING_KEY={key.resolve()}")
        self.stdout.write(f"LABEL_SIGNING_CERTIFICATES={chain.resolve()}")
