"""Enrol or reset somebody's second factor from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import second_factor, selectors
from facefusion_site.common.errors import DomainError


class Command(BaseCommand):
    """Prints the otpauth:// link, alone; the person confirms it with a first code over the API."""

    help = "Start the enrolment of a user's authenticator, or reset it when the device is lost."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("user_ref", help="public reference of the user")
        parser.add_argument(
            "--reset",
            action="store_true",
            help="remove the authenticator, the recovery codes and all proofs first",
        )
        parser.add_argument(
            "--confirm",
            metavar="CODE",
            help="switch a started enrolment on with its first code and print the recovery codes",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Reset if asked, then start or confirm."""
        try:
            user_id = selectors.user_by_ref(user_ref=options["user_ref"]).pk
            if options["confirm"]:
                codes = second_factor.confirm_enrolment(user_id=user_id, code=options["confirm"])
                self.stdout.write("\n".join(codes))
                return
            if options["reset"]:
                second_factor.reset(user_id=user_id)
            self.stdout.write(second_factor.start_enrolment(user_id=user_id).url)
        except DomainError as error:
            raise CommandError(f"{error.code}: {error}") from error
