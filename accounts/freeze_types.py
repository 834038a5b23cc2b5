"""Values of freezes that cross the border of the accounts app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class FreezeKind(models.TextChoices):
    """What a frozen account may not do."""

    SPEND = "spend", _("Spend tokens")
    API = "api", _("Use the API with keys and access tokens")
    LOGIN = "login", _("Sign in")
    UPLOAD = "upload", _("Upload media")


class FreezeCode(models.TextChoices):
    """Why an account is frozen, for statistics; the words stand in the reason."""

    ABUSE = "abuse", _("Abuse of the service")
    FRAUD = "fraud", _("Suspected fraud")
    PAYMENT_DISPUTE = "payment_dispute", _("Disputed payment")
    STOLEN_CREDENTIALS = "stolen_credentials", _("Stolen credentials")
    VELOCITY = "velocity", _("Unusual activity")
    LEGAL = "legal", _("Legal request")
    CUSTOMER_REQUEST = "customer_request", _("Wish of the customer")
    OTHER = "other", _("Something else")


class AppealState(models.TextChoices):
    """Whether the account objected, and what came of it."""

    NONE = "none", _("no appeal")
    OPEN = "open", _("appeal waits for a decision")
    REJECTED = "rejected", _("appeal rejected")
    GRANTED = "granted", _("appeal granted")


# The source of freezes that people place; rules name themselves.
STAFF_SOURCE: Final = "staff"


@dataclass(frozen=True, slots=True)
class FreezeGrounds:
    """Why an account is frozen.

    Attributes:
        code: for statistics.
        reason: 1 to 255 characters, for staff; kept in the audit trail.
        evidence: what led to it, for staff; up to 2000 characters.
        notice: what the account is told, up to 500 characters.
    """

    code: FreezeCode
    reason: str
    evidence: str = ""
    notice: str = ""
