"""The proof of the books: everything that must hold, recomputed.

Run all of it on one snapshot (REPEATABLE READ) or on a quiet ledger: between two statements of a
busy one, honest writes would look like violations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tokens.audit.approvals import APPROVALS
from tokens.audit.books import BOOKS
from tokens.audit.chain import CHAIN_NAMES, COVERAGE, find_broken_blocks
from tokens.audit.grants import GRANTS
from tokens.audit.history import HISTORY
from tokens.audit.protections import PROTECTIONS_STAND, find_missing
from tokens.audit.rollups import ROLLUPS
from tokens.audit.types import Invariant, Violation

__all__ = ["INVARIANTS", "NAMES", "Invariant", "Violation", "find_violations"]

INVARIANTS = (*BOOKS, *APPROVALS, *GRANTS, *COVERAGE, *HISTORY, *ROLLUPS)
NAMES = (*(invariant.name for invariant in INVARIANTS), *CHAIN_NAMES, PROTECTIONS_STAND)


def find_violations(*, progress: Callable[[str], None] | None = None) -> list[Violation]:
    """Run every check; an empty list means that the books are proven.

    Args:
        progress: told the name of every check before it runs.
    """
    return [violation for violation in _checks(progress or _say_nothing) if violation is not None]


def _checks(progress: Callable[[str], None]) -> Iterator[Violation | None]:
    for invariant in INVARIANTS:
        progress(invariant.name)
        yield invariant.run()
    progress(CHAIN_NAMES[0])
    yield from find_broken_blocks()
    progress(PROTECTIONS_STAND)
    yield find_missing()


def _say_nothing(_name: str) -> None:
    """Nobody watches."""
