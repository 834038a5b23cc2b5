"""Issue an API key from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import selectors, services
from accounts.types import ROLE_SCOPES, Role, Scope
from facefusion_site.common.errors import DomainError


class Command(BaseCommand):
    """Prints the key, alone, on standard output; nothing else ever shows it again."""

    help = "Issue an API key for a user and print it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("user_ref", help="public reference of the user")
        parser.add_argument("--name", default="command line", help="what the key is for")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            dest="scopes",
            help="may be repeated; all scopes of the user's role when left out",
        )
        parser.add_argument("--days", type=int, help="days until it expires; never when left out")

    def handle(self, *args: Any, **options: Any) -> None:
        """Issue the key."""
        days = options["days"]
        try:
            user = selectors.user_by_ref(user_ref=options["user_ref"])
            issued = services.issue_api_key(
                user_id=user.pk,
                name=options["name"],
                scopes=options["scopes"] or ROLE_SCOPES[Role(user.role)],
                expires_at=None if days is None else timezone.now() + timedelta(days=days),
            )
        except DomainError as error:
            raise CommandError(f"{error.code}: {error}") from error
        self.stdout.write(issued.key)
