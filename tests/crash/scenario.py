"""What all kinds of work have in common that a crash of the server interrupts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from django.core.management import call_command

from accounts import services as accounts_services
from accounts.types import Role
from tests.crash.processes import Say
from tokens import audit

CHUNK = 5
SETTINGS = {
    "RECHARGE_SYNC_LINES_MAX": 1,
    "RECHARGE_CHUNK_LINES": CHUNK,
    # So short that it has lapsed when the server is back.
    "RECHARGE_LEASE_S": 0.2,
}
Person = tuple[int, str]


class Scenario(Protocol):
    """One kind of work. Each method runs in a process of its own, on the server that crashes."""

    def prepare(self, *, say: Say) -> Any:
        """Make what the work starts from; the other methods get what this returns."""

    def work(self, prepared: Any, *, say: Say) -> None:
        """What the crash interrupts; says what it was told to be done."""

    def recover(self, prepared: Any, said: Sequence[Any], *, say: Say) -> bool:
        """Check what the crash left, do what is left to do, and check that.

        Returns:
            Whether some of the work was done, and some was not.

        Raises:
            AssertionError: something was lost, done twice or done by half.
        """


def migrate(*, say: Say) -> None:  # the shape of all work
    """Create the schema."""
    call_command("migrate", verbosity=0)


def register(*, role: Role = Role.USER) -> Person:
    """A new user's primary key and reference."""
    user = accounts_services.register_user(username=None, password=None, role=role)
    return user.pk, user.user_ref


def assert_books_balance() -> None:
    """Prove the books of the whole database."""
    assert audit.find_violations() == []
