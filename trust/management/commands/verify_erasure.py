"""Check a receipt of erasure without the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trust import services


class Command(BaseCommand):
    """A receipt and its signature, checked under every key that is known."""

    help = "Check the signature of a receipt of erasure; exits with 1 when it is not genuine."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the receipt, as the API gave it")

    def handle(self, *, file: Path, **_options: Any) -> None:
        """Check the receipt and say what it proves."""
        try:
            receipt = json.loads(file.read_text(encoding="utf-8"))
            document, signature = receipt["document"], receipt["signature"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{file} holds no receipt: {error}") from error
        if not isinstance(document, dict):
            raise CommandError(f"{file} holds no receipt.")
        verdict = services.verify_receipt(document=document, signature=str(signature))
        if not verdict.is_genuine:
            raise CommandError(f"The receipt is not genuine: {verdict.fault}")
        self.stdout.write(
            f"The receipt is genuine: {len(document['items'])} files of {document['account']}, "
            f"erased at {document['erased_at']}."
        )
