"""Values of trust. No database."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

SHA256_PATTERN: Final = r"[0-9a-f]{64}"
EVIDENCE_LENGTH_MAX: Final = 500
CONSENT_ASSETS_MAX: Final = 100
STATEMENT_LENGTH_MAX: Final = 4000
NOTE_LENGTH_MAX: Final = 1000
TAKEDOWN_CLOCK: Final = dt.timedelta(hours=48)


class ConsentKind(models.TextChoices):
    """Whose face it is, and what the right to use it rests on."""

    SELF = "self", _("The person's own face")
    DOCUMENTED = "documented", _("Consent of the person shown, in writing")
    LICENSED = "licensed", _("A licence of whoever holds the rights")


class ConsentUse(models.TextChoices):
    """What a consent allows; the words are those of the operations that are priced."""

    IMAGE_SWAP = "image_swap", _("Swaps into pictures")
    VIDEO_SWAP = "video_swap", _("Swaps into videos")


class ConsentPolicy(StrEnum):
    """What a source needs before a swap is priced: the setting CONSENT_REQUIRED."""

    # Nothing is asked; what was revoked stays blocked.
    OFF = "off"
    # Somebody vouched for it: for the account as a whole, or for this picture.
    ATTEST = "attest"
    # A documented or licensed consent names the picture.
    DOCUMENTED = "documented"


class TakedownReason(models.TextChoices):
    """What is wrong with the picture or video, as whoever reports it says."""

    INTIMATE = "intimate", _("It is intimate, and the person shown did not agree")
    MINOR = "minor", _("It shows a child in a sexual way")
    LIKENESS = "likeness", _("It uses my face, or that of somebody I act for, without consent")
    OTHER = "other", _("Another right is violated")


class TakedownState(models.TextChoices):
    """Where a report stands."""

    OPEN = "open", _("Being looked at")
    UPHELD = "upheld", _("Upheld: it is removed and blocked")
    REJECTED = "rejected", _("Rejected")


class ErasureScope(models.TextChoices):
    """What was erased at once."""

    ASSET = "asset", _("One upload")
    RESULT = "result", _("One result")
    ACCOUNT = "account", _("All media of the account")


@dataclass(frozen=True, slots=True)
class ConsentOrder:
    """A consent as it is attested.

    Attributes:
        kind: what it rests on.
        uses: what it allows; at least one.
        asset_ids: the uploads it is about; none only for a person's own face, and then it is about
            every upload of the account.
        evidence: where the document lies, such as a contract's number; never the document itself.
        expires_at: when it ends by itself; None for not at all.
        text_version: of the text that was agreed to.
        language: in which the text was shown.
    """

    kind: ConsentKind
    uses: tuple[ConsentUse, ...]
    asset_ids: tuple[uuid.UUID, ...]
    text_version: str
    language: str
    evidence: str = ""
    expires_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class TakedownOrder:
    """A report of a picture or video. ``link`` or ``sha256`` says which one is meant."""

    reason: TakedownReason
    contact: str
    statement: str
    link: str = ""
    sha256: str = ""
    is_copy_sent: bool = False


@dataclass(frozen=True, slots=True)
class ErasedItem:
    """One upload or result whose bytes are gone."""

    kind: str
    id: uuid.UUID
    sha256: str
    received_sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Removal:
    """What a block removed: whose, what kind, and its id."""

    owner_id: int
    kind: str
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Reports that wait for a decision."""

    open_count: int
    overdue_count: int


def tidy_hashes(texts: Sequence[str]) -> tuple[str, ...]:
    """SHA-256 digests as they are kept: lower case, each once, in the order given."""
    return tuple(dict.fromkeys(text.strip().lower() for text in texts if text.strip()))
