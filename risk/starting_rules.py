"""The rules that come with the product, as migration 0002 stores them.

What is changed here reaches new installations alone: everywhere else a rule is changed by a new
version of it.
"""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_noop

from accounts.freeze_types import FreezeKind
from accounts.types import Plan
from risk.types import Action, Signal

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 24 * _HOUR_S
_LARGE: Final = (Plan.ENTERPRISE.value, Plan.CUSTOM.value)


def _freeze(kind: FreezeKind, seconds: int, notice: str) -> dict[str, Any]:
    return {
        "action": Action.FREEZE,
        "freeze_kind": kind,
        "action_s": seconds,
        "notice": notice,
    }


# Few enough false hits to act at night: what honest accounts do in a bad hour stays below. The
# milder ones only ask for a look.
STARTING_RULES: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "refused-requests",
        "title": gettext_noop("Goes on while limits refuse it"),
        "signal": Signal.REFUSED,
        "window_s": 5 * _MINUTE_S,
        "threshold": 60,
        **_freeze(
            FreezeKind.API,
            _HOUR_S,
            gettext_noop(
                "Your program kept sending requests after it was told to wait. Please honour the "
                "Retry-After header."
            ),
        ),
    },
    {
        "name": "heavy-use",
        "title": gettext_noop("Close to the request limit for long"),
        "signal": Signal.REQUESTS,
        "window_s": 10 * _MINUTE_S,
        "threshold": 5000,
        "action": Action.SLOW,
        "action_s": 30 * _MINUTE_S,
        "notice": gettext_noop(
            "Your programs send very many requests, so your limits are halved for a while."
        ),
        "exempt_plans": list(_LARGE),
    },
    {
        "name": "probing",
        "title": gettext_noop("Asks for many different things that are not there"),
        "signal": Signal.MISSING,
        "window_s": 10 * _MINUTE_S,
        "threshold": 40,
        **_freeze(
            FreezeKind.API,
            _HOUR_S,
            gettext_noop("Your program asked for many things that are not yours or do not exist."),
        ),
    },
    {
        "name": "key-in-many-places",
        "title": gettext_noop("One API key from many networks"),
        "signal": Signal.KEY_NETWORKS,
        "window_s": 10 * _MINUTE_S,
        "threshold": 6,
        "exempt_plans": list(_LARGE),
        **_freeze(
            FreezeKind.API,
            _DAY_S,
            gettext_noop(
                "One of your API keys was used from many places at once. Replace it, and allow "
                "only your own networks."
            ),
        ),
    },
    {
        "name": "sign-in-many-places",
        "title": gettext_noop("Signs in from many networks"),
        "signal": Signal.SIGN_IN_NETWORKS,
        "window_s": _HOUR_S,
        "threshold": 5,
        **_freeze(
            FreezeKind.LOGIN,
            _DAY_S,
            gettext_noop(
                "Your account was signed in to from many places at once. "
                "Please change the password."
            ),
        ),
    },
    {
        "name": "one-face-again",
        "title": gettext_noop("One source face again and again"),
        "signal": Signal.SAME_FACE,
        "window_s": 10 * _MINUTE_S,
        "threshold": 25,
        "exempt_plans": list(_LARGE),
        **_freeze(
            FreezeKind.SPEND,
            30 * _MINUTE_S,
            gettext_noop(
                "Very many swaps with one face in a short time are looked at before they go on."
            ),
        ),
    },
    {
        "name": "one-face-many-accounts",
        "title": gettext_noop("One source face through many accounts at once"),
        "signal": Signal.FACE_ACCOUNTS,
        "window_s": 10 * _MINUTE_S,
        "threshold": 5,
        **_freeze(
            FreezeKind.SPEND,
            _HOUR_S,
            gettext_noop(
                "One face was used through several accounts at once, which is looked at first."
            ),
        ),
    },
    {
        "name": "face-shared",
        "title": gettext_noop("One source face in several accounts within a day"),
        "signal": Signal.FACE_ACCOUNTS,
        "window_s": _DAY_S,
        "threshold": 3,
        "action": Action.REVIEW,
    },
    {
        "name": "many-faces",
        "title": gettext_noop("Many different source faces within a day"),
        "signal": Signal.FACES,
        "window_s": _DAY_S,
        "threshold": 20,
        "action": Action.REVIEW,
        "exempt_plans": list(_LARGE),
    },
    {
        "name": "very-many-faces",
        "title": gettext_noop("Very many different source faces within a day"),
        "signal": Signal.FACES,
        "window_s": _DAY_S,
        "threshold": 60,
        "exempt_plans": list(_LARGE),
        **_freeze(
            FreezeKind.SPEND,
            _DAY_S,
            gettext_noop("Swaps with very many different faces are looked at before they go on."),
        ),
    },
    {
        "name": "burn-after-grant",
        "title": gettext_noop("Large gift spent within two minutes"),
        "signal": Signal.BURN,
        "window_s": 2 * _MINUTE_S,
        "threshold": 90,
        "floor": 200,
        "exempt_plans": list(_LARGE),
        **_freeze(
            FreezeKind.SPEND,
            30 * _MINUTE_S,
            gettext_noop(
                "Tokens you were given were spent within moments, which is looked at first."
            ),
        ),
    },
    {
        "name": "gift-spent-soon",
        "title": gettext_noop("Gift spent within half an hour"),
        "signal": Signal.BURN,
        "window_s": 30 * _MINUTE_S,
        "threshold": 90,
        "floor": 50,
        "action": Action.REVIEW,
        "exempt_plans": list(_LARGE),
    },
    {
        "name": "refund-abuse",
        "title": gettext_noop("Nearly all jobs are canceled"),
        "signal": Signal.REFUNDS,
        "window_s": _HOUR_S,
        "threshold": 80,
        "floor": 20,
        **_freeze(
            FreezeKind.SPEND,
            _HOUR_S,
            gettext_noop(
                "Nearly all of your jobs were canceled. "
                "Please write to us if something does not work."
            ),
        ),
    },
    {
        "name": "blocked-content",
        "title": gettext_noop("Blocked content again and again"),
        "signal": Signal.BLOCKED,
        "window_s": _HOUR_S,
        "threshold": 3,
        **_freeze(
            FreezeKind.SPEND,
            _HOUR_S,
            gettext_noop(
                "Several of your pictures are not allowed here. Please read the terms of use."
            ),
        ),
    },
)
