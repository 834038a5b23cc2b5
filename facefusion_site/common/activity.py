"""What accounts did, in the one form in which windows over it are measured."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Activity:
    """One thing that an account did.

    Attributes:
        user_id: whose account.
        at: when.
        group: what it was about, where that is counted: a network, a person, a lot of tokens.
        amount: how much of it; 0 for what only belongs to the whole.
        whole: what amounts of the group are a share of; 0 where they are not.
        reference: where to look it up, such as ``swap_job:<uuid>``.
    """

    user_id: int
    at: dt.datetime
    group: str = ""
    amount: int = 1
    whole: int = 0
    reference: str = ""
