"""Where a row's fault is, and what to do about it, in words."""

from __future__ import annotations

from typing import Final, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tokens.models import RechargeLine

Outcome = RechargeLine.Outcome


class VerdictText(NamedTuple):
    """The column at fault (empty for the whole row), what is wrong, and what to do."""

    column: str
    text: str | Promise
    hint: str | Promise


WARNINGS: Final = {
    "above_habit": _("Far above what the account is used to"),
    "same_amount_lately": _("The account got the same amount in the last 24 hours"),
}
HINTS: Final[dict[str, tuple[str, Promise]]] = {
    "above_habit": ("amount", _("Compare the amount with the order before you submit.")),
    "same_amount_lately": ("amount", _("Make sure that this is not the same recharge again.")),
    Outcome.ROW_UNREADABLE: ("", _("Give the row as many cells as there are columns.")),
    Outcome.CELL_TOO_LONG: ("", _("Shorten the cell.")),
    Outcome.FORMULA_REFUSED: ("", _("Paste the value instead of the formula.")),
    Outcome.USER_MISSING: ("user", _("Fill in the user_ref.")),
    Outcome.AMOUNT_SCALE_INVALID: ("amount", _("Write a whole number without units.")),
    Outcome.KEY_INVALID: ("key", _("Use at most 64 plain characters.")),
    Outcome.CATEGORY_UNKNOWN: ("category", _("Use paid, promo, reward or plan.")),
    Outcome.PRIORITY_INVALID: ("priority", _("Use a whole number from 0 to 100.")),
    Outcome.TIME_INVALID: ("expires_at", _("Write times like 2026-12-31T00:00:00Z.")),
    Outcome.ACCOUNT_NOT_FOUND: (
        "user",
        _("Check the user_ref: upper and lower case differ, and the account must be active."),
    ),
    Outcome.ACCOUNT_FROZEN: ("user", _("Have the wallet unfrozen first, or leave the row out.")),
    Outcome.ACCOUNT_CLOSED: ("user", _("Leave the row out: a closed wallet stays closed.")),
    Outcome.AMOUNT_NOT_POSITIVE: ("amount", _("Write 1 or more; take tokens back by a reversal.")),
    Outcome.AMOUNT_OUT_OF_RANGE: ("amount", _("Split the amount, or correct it.")),
    Outcome.EXCEEDS_MAX_BALANCE: ("amount", _("Lower the amount: the wallet has a limit.")),
    Outcome.EXPIRY_IN_PAST: ("expires_at", _("Choose a time to come.")),
    Outcome.EFFECTIVE_AFTER_EXPIRY: ("effective_at", _("Let the tokens start before they end.")),
    Outcome.DUPLICATE_ROW: ("user", _("Add the amounts up in one row.")),
    Outcome.ITEM_KEY_CONFLICT: ("key", _("Give each row a key of its own.")),
}


def verdict_text(code: str) -> VerdictText:
    """What a code of a row means; nothing for a good row."""
    column, hint = HINTS.get(code, ("", ""))
    if code in WARNINGS:
        return VerdictText(column, WARNINGS[code], hint)
    return VerdictText(column, Outcome(code).label if code else "", hint)
