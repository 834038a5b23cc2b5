"""Values that cross the border of productions. Amounts are whole tokens everywhere."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from inference.types import SwapOptions
from tokens.types import Operation

PERSON_REF_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


class State(models.TextChoices):
    """Where a production is."""

    DRAFT = "DRAFT", _("Draft")
    ESTIMATED = "ESTIMATED", _("Estimated")
    AWAITING_APPROVAL = "AWAITING_APPROVAL", _("Waiting for its tokens")
    FUNDED = "FUNDED", _("Funded")
    RUNNING = "RUNNING", _("Running")
    FINISHED = "FINISHED", _("Finished")
    CANCELED = "CANCELED", _("Canceled")


class RowState(models.TextChoices):
    """Where a row is; of a started row, its job knows the rest."""

    UNREADABLE = "UNREADABLE", _("Unreadable")
    READY = "READY", _("Ready")
    REFUSED = "REFUSED", _("Refused")
    STARTED = "STARTED", _("Started")


class ConsentKind(models.TextChoices):
    """How a person has agreed to the use of the face."""

    SELF = "SELF", _("It is the owner's own face")
    DOCUMENTED = "DOCUMENTED", _("A signed document is kept")
    LICENSED = "LICENSED", _("Licensed by an agency")


@dataclass(frozen=True, slots=True)
class PersonOrder:
    """A person as asked for.

    Attributes:
        ref: name of the person within the production; rows use it.
        face_asset_id: picture that the face is taken from.
        token_quota: most tokens of this person's jobs; None for no such limit.
        job_quota: most rows that may have a job that runs or succeeded; None for no such limit.
        consent_text_version: of the text that the person agreed to.
        consent_expires_at: from when on no job is started; None: it does not end by itself.
    """

    ref: str
    face_asset_id: uuid.UUID
    consent_kind: ConsentKind
    consent_text_version: str
    name: str = ""
    consent_expires_at: dt.datetime | None = None
    token_quota: int | None = None
    job_quota: int | None = None


@dataclass(frozen=True, slots=True)
class ProductionOrder:
    """A production as asked for.

    Attributes:
        budget: tokens that the wallet is recharged with, and the most it may cost; None: what the
            estimate says.
        is_automatic: the platform starts, tries again and finishes it without being asked.
        retries_max: how often a row is tried again by itself after a failure of ours.
    """

    name: str
    people: tuple[PersonOrder, ...]
    budget: int | None = None
    is_automatic: bool = True
    retries_max: int = 1


@dataclass(frozen=True, slots=True)
class RowOrder:
    """One row of a manifest as it was read; ``fault`` says why it could not be read."""

    person: str
    target_asset_id: uuid.UUID | None
    operation: Operation | None = None
    options: SwapOptions = field(default_factory=SwapOptions)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class RetryOrder:
    """A row to be tried again, with another target where one is named."""

    row_no: int
    target_asset_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Spending:
    """What became of tokens: ``held`` is set aside now, ``settled`` is paid, the rest came back."""

    held: int = 0
    settled: int = 0
    refunded: int = 0

    @property
    def committed(self) -> int:
        """Tokens that are spent or may still be."""
        return self.held + self.settled

    def __add__(self, other: Spending) -> Spending:
        """Of both together."""
        return Spending(
            self.held + other.held,
            self.settled + other.settled,
            self.refunded + other.refunded,
        )


@dataclass(frozen=True, slots=True)
class PersonProgress:
    """One person's share."""

    ref: str
    name: str
    states: Mapping[str, int]
    spending: Spending
    token_quota: int | None
    job_quota: int | None
    has_consent: bool


@dataclass(frozen=True, slots=True)
class Books:
    """Every token of a production.

    Attributes:
        funded: what the recharge has credited.
        returned: what the reversal has taken back.
        return_status: of the reversal's batch; empty where there is none.
    """

    funded: int
    spending: Spending
    returned: int
    return_status: str = ""

    @property
    def left(self) -> int:
        """Tokens of the recharge that are neither spent, held nor returned."""
        return self.funded - self.spending.committed - self.returned


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a production is: rows by state, people, books."""

    rows_count: int
    states: Mapping[str, int]
    people: tuple[PersonProgress, ...]
    books: Books
    errors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowView:
    """One row with what became of it.

    ``state`` is that of the row, or of its job once it has one. ``attempts`` are all its jobs, the
    first one first; ``tokens`` is what they were charged in all.
    """

    row_no: int
    person: str
    target_asset_id: uuid.UUID | None
    operation: str
    state: str
    estimate: int | None
    job_id: uuid.UUID | None
    tokens: int
    error_code: str
    error_detail: str
    attempts: tuple[uuid.UUID, ...] = ()
