"""Values of the risk engine: what is measured, how, and what follows. No database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

# A rule's name is part of the source of its freezes: ``rule:<name>:<version>``.
NAME_PATTERN: Final = r"[a-z][a-z0-9-]{0,39}"


class Signal(models.TextChoices):
    """What a rule measures."""

    REQUESTS = "requests", _("API requests")
    REFUSED = "refused", _("Requests refused by a limit")
    MISSING = "missing", _("Requests for what is not there")
    KEY_NETWORKS = "key_networks", _("Networks that one API key is used from")
    SIGN_IN_NETWORKS = "sign_in_networks", _("Networks that the account signs in from")
    SAME_FACE = "same_face", _("Requests with one source face")
    FACE_ACCOUNTS = "face_accounts", _("Accounts that use one source face")
    FACES = "faces", _("Different source faces")
    BURN = "burn", _("Percent of given tokens spent at once")
    REFUNDS = "refunds", _("Percent of jobs that were canceled")
    BLOCKED = "blocked", _("Jobs with blocked content")


# Counted in Redis while requests are answered, and decided about at once; the others are read from
# rows by a sweep.
LIVE_SIGNALS: Final = frozenset(
    {Signal.REQUESTS, Signal.REFUSED, Signal.MISSING, Signal.KEY_NETWORKS}
)


class Measure(StrEnum):
    """How a window of activities becomes one number."""

    SUM = "sum"
    MOST_OF_GROUP = "most_of_group"
    LARGEST = "largest"
    GROUPS = "groups"
    USERS_OF_GROUP = "users_of_group"
    SHARE = "share"
    SHARE_OF_WHOLE = "share_of_whole"


MEASURES: Final[Mapping[Signal, Measure]] = MappingProxyType(
    {
        Signal.REQUESTS: Measure.SUM,
        Signal.REFUSED: Measure.SUM,
        Signal.MISSING: Measure.SUM,
        Signal.KEY_NETWORKS: Measure.LARGEST,
        Signal.SIGN_IN_NETWORKS: Measure.GROUPS,
        Signal.SAME_FACE: Measure.MOST_OF_GROUP,
        Signal.FACE_ACCOUNTS: Measure.USERS_OF_GROUP,
        Signal.FACES: Measure.GROUPS,
        Signal.BURN: Measure.SHARE_OF_WHOLE,
        Signal.REFUNDS: Measure.SHARE,
        Signal.BLOCKED: Measure.SUM,
    }
)
# Their thresholds are percentages, and their floors say of how much at least.
SHARES: Final = frozenset({Measure.SHARE, Measure.SHARE_OF_WHOLE})


class Action(models.TextChoices):
    """What a rule does about an account, from the mildest on."""

    ALLOW = "allow", _("Let it go on, and note it")
    REVIEW = "review", _("Have somebody look")
    SLOW = "slow", _("Halve its request limits")
    FREEZE = "freeze", _("Freeze it")


class RuleState(models.TextChoices):
    """Where a version of a rule stands."""

    DRAFT = "draft", _("Draft")
    ACTIVE = "active", _("Active")
    RETIRED = "retired", _("Retired")


class Verdict(models.TextChoices):
    """What people found a decision to be."""

    OPEN = "open", _("Not looked at")
    ABUSE = "abuse", _("Right: it was abuse")
    HONEST = "honest", _("Wrong: the account is honest")


class Appeal(models.TextChoices):
    """Whether the account objected, and what came of it."""

    NONE = "none", _("no appeal")
    OPEN = "open", _("appeal waits for an answer")
    REJECTED = "rejected", _("appeal rejected")
    GRANTED = "granted", _("appeal granted")


@dataclass(frozen=True, slots=True)
class Window:
    """When a rule is met.

    Attributes:
        length: over which activities are measured.
        threshold: from which value on; a percentage for shares.
        floor: of how much a share is taken at least.
        measure: how.
    """

    length: dt.timedelta
    threshold: int
    floor: int
    measure: Measure


@dataclass(frozen=True, slots=True)
class Crossing:
    """An account has reached a rule's threshold.

    Attributes:
        user_id: whose account.
        at: of the activity that reached it.
        value: what was measured.
        since: the oldest activity that was measured with it.
        count: of these activities.
        group: what they were about, if one thing.
        references: some of them, the newest last.
    """

    user_id: int
    at: dt.datetime
    value: int
    since: dt.datetime
    count: int
    group: str = ""
    references: tuple[str, ...] = ()
