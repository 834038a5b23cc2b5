"""Events that accounts are told about, and what crosses the border around their delivery."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

# In the filter of an endpoint: every event there is, and those to come.
EVERY_EVENT: Final = "*"


class WebhookEventType(models.TextChoices):
    """What can happen to an account. A name never changes its meaning."""

    JOB_SUCCEEDED = "job.succeeded", _("A job has its result")
    JOB_FAILED = "job.failed", _("A job failed and was refunded")
    JOB_BLOCKED = "job.blocked", _("A job was refused by the content check")
    JOB_CANCELED = "job.canceled", _("A job was canceled")
    JOB_EXPIRED = "job.expired", _("A job did not begin in time")
    BALANCE_LOW = "balance.low", _("The balance fell below its alert")
    RECHARGE_APPLIED = "recharge.applied", _("A recharge credited tokens")
    RECHARGE_REVERSED = "recharge.reversed", _("Tokens of a recharge were taken back")
    BALANCE_ADJUSTED = "balance.adjusted", _("The balance was corrected by hand")
    RECHARGE_BATCH_FINISHED = "recharge_batch.finished", _("A batch you created has ended")
    GRANT_APPLIED = "grant.applied", _("A scheduled grant credited tokens")
    TOKENS_EXPIRED = "tokens.expired", _("Tokens expired")
    WALLET_FROZEN = "wallet.frozen", _("The wallet was frozen")
    WALLET_UNFROZEN = "wallet.unfrozen", _("The wallet was unfrozen")
    WALLET_CLOSED = "wallet.closed", _("The wallet was closed")
    ACCOUNT_FROZEN = "account.frozen", _("The account was frozen")
    ACCOUNT_UNFROZEN = "account.unfrozen", _("The account was unfrozen")
    API_KEY_ISSUED = "api_key.issued", _("An API key was issued")
    API_KEY_REVOKED = "api_key.revoked", _("An API key was revoked")
    API_KEY_EXPOSED = "api_key.exposed", _("An API key was sent over plain HTTP")
    MEDIA_REMOVED = "media.removed", _("An upload or a result was removed after a report")
    WEBHOOK_TEST = "webhook.test", _("A test that you asked for")


@dataclass(frozen=True, slots=True)
class IssuedEndpoint:
    """An endpoint with a new secret. ``secret`` is the only copy: show it once, never log it."""

    id: uuid.UUID
    secret: str

    def __repr__(self) -> str:
        return f"IssuedEndpoint(id={self.id})"


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What an owner changes of an endpoint; None leaves a field as it is."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    description: str | None = None
    is_enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One attempt that a worker has the right to make.

    Attributes:
        delivery_id: what is delivered.
        number: of all its attempts; the fencing token, because a later attempt has a higher one.
        attempt: within the schedule, from 1; a replay starts anew.
        event_id: stable over all attempts and endpoints; receivers recognise repeats by it.
        sent_at: on the database's clock.
        url: where it goes.
        secrets: that sign it, in clear; the newest first.
        body: the same bytes in every attempt.
    """

    delivery_id: uuid.UUID
    number: int
    attempt: int
    event_id: uuid.UUID
    sent_at: dt.datetime
    url: str
    secrets: tuple[str, ...]
    body: bytes

    def __repr__(self) -> str:
        return f"Outgoing(delivery_id={self.delivery_id}, number={self.number})"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; ``status_code`` is None when nothing did, and ``error`` says why.

    ``retry_after_s`` is how long the receiver asked to be left alone.
    """

    latency_ms: int
    status_code: int | None = None
    error: str = ""
    excerpt: str = ""
    retry_after_s: int | None = None

    @property
    def is_accepted(self) -> bool:
        """Only an answer of the 2xx family says that the receiver has the event."""
        return self.status_code is not None and 200 <= self.status_code < 300  # noqa: PLR2004
