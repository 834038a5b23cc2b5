"""Shapes of the books and their proof over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tokens.books import Basis, month_days
from tokens.models import Account

# A longer range is an export.
DAYS_MAX = 366


@extend_schema_field({"type": "string", "pattern": r"^\d{4}-\d{2}$"})
class MonthField(serializers.DateField):
    """The month of a day, YYYY-MM."""

    def __init__(self, **more: Any) -> None:
        super().__init__(format="%Y-%m", **more)


@extend_schema_field({"type": "object", "additionalProperties": {}})
class RecordedField(serializers.JSONField):
    """Values by name, as they were recorded. Any JSON would include null a second time."""


class MomentQuerySerializer(serializers.Serializer[Any]):
    """A moment, and which time of a transfer counts."""

    at = serializers.DateTimeField(
        default=timezone.now, help_text=_("ISO 8601 with offset; now by default.")
    )
    basis = serializers.ChoiceField(
        choices=[basis.value for basis in Basis],
        default=Basis.EFFECTIVE.value,
        help_text=_("effective: business time; recorded: system time."),
    )


class DayRangeQuerySerializer(serializers.Serializer[Any]):
    """Days in UTC, both included."""

    first = serializers.DateField(help_text=_("First day, YYYY-MM-DD in UTC."))
    last = serializers.DateField(help_text=_("Last day, included."))
    basis = serializers.ChoiceField(
        choices=[basis.value for basis in Basis],
        default=Basis.RECORDED.value,
        help_text=_("effective: business time; recorded: system time."),
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The range runs forward."""
        return _forward(attrs)


class ShortRangeQuerySerializer(DayRangeQuerySerializer):
    """A range that is answered at once."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """At most a year and a day."""
        attrs = super().validate(attrs)
        if (attrs["last"] - attrs["first"]).days >= DAYS_MAX:
            raise serializers.ValidationError(
                {"last": _("Ask for at most 366 days, or take an export.")}, code="max_value"
            )
        return attrs


class ExportQuerySerializer(serializers.Serializer[Any]):
    """A month, or a range of days in UTC; of everybody or of one user."""

    month = serializers.RegexField(
        r"^[0-9]{4}-(0[1-9]|1[0-2])\Z", required=False, help_text=_("YYYY-MM in UTC.")
    )
    first = serializers.DateField(required=False, help_text=_("First day, YYYY-MM-DD in UTC."))
    last = serializers.DateField(required=False, help_text=_("Last day, included."))
    basis = serializers.ChoiceField(
        choices=[basis.value for basis in Basis],
        default=Basis.RECORDED.value,
        help_text=_("effective: business time; recorded: system time."),
    )
    user = serializers.CharField(required=False, default="", help_text=_("user_ref of one user."))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Either a month or both ends of a range; the month becomes a range."""
        month = attrs.pop("month", None)
        given = {"first", "last"} & attrs.keys()
        if month is not None and not given:
            # Year 0 matches the pattern and is no year.
            if month.startswith("0000"):
                raise serializers.ValidationError({"month": _("There is no such month.")})
            attrs["first"], attrs["last"] = month_days(dt.date.fromisoformat(f"{month}-01"))
        elif month is not None or len(given) < 2:  # noqa: PLR2004  # both ends
            raise serializers.ValidationError(
                {"month": _("Name either a month or both first and last.")}
            )
        return _forward(attrs)


class ConsumptionQuerySerializer(ShortRangeQuerySerializer):
    """A range, of everybody or of one user."""

    user = serializers.CharField(required=False, default="", help_text=_("user_ref of one user."))


class WalletAtSerializer(serializers.Serializer[Any]):
    """A wallet as the books had it."""

    user = serializers.CharField()
    at = serializers.DateTimeField()
    basis = serializers.CharField()
    available = serializers.IntegerField()
    held = serializers.IntegerField()
    total = serializers.IntegerField()


class AccountsAtSerializer(serializers.Serializer[Any]):
    """Every account's balance; they sum to 0."""

    at = serializers.DateTimeField()
    basis = serializers.CharField()
    accounts = serializers.DictField(child=serializers.IntegerField())


class AccountDaySerializer(serializers.Serializer[Any]):
    """One account on one day: opening + in - out = closing."""

    day = serializers.DateField()
    account = serializers.ChoiceField(choices=Account.values)
    opening = serializers.IntegerField()
    credited = serializers.IntegerField(help_text=_("In."))
    debited = serializers.IntegerField(help_text=_("Out."))
    closing = serializers.IntegerField()


class AccountDaysSerializer(serializers.Serializer[Any]):
    """Days that have snapshots."""

    items = AccountDaySerializer(many=True)


class ConsumptionSerializer(serializers.Serializer[Any]):
    """What one user's work of one kind cost on one day."""

    day = serializers.DateField()
    user = serializers.CharField(source="user_ref")
    operation = serializers.CharField()
    charged = serializers.IntegerField()
    refunded = serializers.IntegerField()
    net = serializers.IntegerField(help_text=_("Charged less refunded."))


class ConsumptionListSerializer(serializers.Serializer[Any]):
    """By day, user and operation."""

    items = ConsumptionSerializer(many=True)


class SealSerializer(serializers.Serializer[Any]):
    """A block of the hash chain."""

    number = serializers.IntegerField()
    sealed_at = serializers.DateTimeField()
    transfers_count = serializers.IntegerField()
    tokens_moved = serializers.IntegerField(source="tokens_total")
    events_count = serializers.IntegerField()
    transfers_sha256 = serializers.CharField()
    events_sha256 = serializers.CharField()
    previous_hash = serializers.CharField()
    hash = serializers.CharField()


class SealPageSerializer(serializers.Serializer[Any]):
    """A page of seals, newest first."""

    items = SealSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class StatementOfHeadSerializer(serializers.Serializer[Any]):
    """The head of the chain, signed."""

    statement = serializers.DictField()
    key_id = serializers.CharField()
    signature = serializers.CharField(
        help_text=_("HMAC-SHA256 over the statement as canonical JSON.")
    )


class ReconRunSerializer(serializers.Serializer[Any]):
    """One proof of the books."""

    id = serializers.UUIDField()
    kind = serializers.SerializerMethodField(help_text=_("verify or reconcile."))
    status = serializers.SerializerMethodField(help_text=_("passed or failed."))
    checks_count = serializers.IntegerField()
    violations = serializers.ListField(child=serializers.DictField())
    summary = serializers.DictField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField()

    def get_kind(self, run: Any) -> str:
        """In lower case, as everywhere on the wire."""
        return str(run.kind).lower()

    def get_status(self, run: Any) -> str:
        """In lower case, as everywhere on the wire."""
        return str(run.status).lower()


class ReconRunPageSerializer(serializers.Serializer[Any]):
    """A page of runs, newest first."""

    items = ReconRunSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class AuditQuerySerializer(serializers.Serializer[Any]):
    """Which audit events."""

    limit = serializers.IntegerField(min_value=1, max_value=200, default=50)
    cursor = serializers.CharField(
        required=False, default=None, help_text=_("“next_cursor” of the page before.")
    )
    subject = serializers.CharField(
        required=False, default="", help_text=_("For example recharge_batch:<id>.")
    )


class AuditEventSerializer(serializers.Serializer[Any]):
    """Who changed what."""

    id = serializers.IntegerField()
    actor = serializers.SerializerMethodField(
        help_text=_("user_ref of the principal; empty: the platform itself.")
    )
    action = serializers.CharField()
    subject = serializers.CharField()
    before = RecordedField(allow_null=True)
    after = RecordedField(allow_null=True)
    before_sha256 = serializers.CharField()
    after_sha256 = serializers.CharField()
    request_id = serializers.CharField()
    recorded_at = serializers.DateTimeField()

    def get_actor(self, event: Any) -> str:
        """The public reference, never the key."""
        return "" if event.actor is None else str(event.actor.user_ref)


class AuditEventPageSerializer(serializers.Serializer[Any]):
    """A page of audit events, newest first."""

    items = AuditEventSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class MonthCloseSerializer(serializers.Serializer[Any]):
    """A closing of a month, and its reopening if there was one."""

    month = MonthField()
    closed_at = serializers.DateTimeField()
    closed_by = serializers.CharField(source="closed_by.user_ref")
    totals = serializers.DictField(allow_null=True)
    totals_sha256 = serializers.CharField()
    reopened_at = serializers.DateTimeField(allow_null=True)
    reopened_by = serializers.CharField(
        source="reopened_by.user_ref", default=None, allow_null=True
    )
    reopen_reason = serializers.CharField()


class MonthCloseListSerializer(serializers.Serializer[Any]):
    """Newest month first."""

    items = MonthCloseSerializer(many=True)


class ProofStatusSerializer(serializers.Serializer[Any]):
    """Where the proof of the books stands."""

    is_proven = serializers.BooleanField(help_text=_("The newest run found nothing."))
    head = SealSerializer(allow_null=True)
    last_snapshot_day = serializers.DateField(
        source="last_snapshot.day", default=None, allow_null=True
    )
    last_closed_month = MonthField(source="last_closed_month.month", default=None, allow_null=True)
    last_run = ReconRunSerializer(allow_null=True)
    last_failed_run = ReconRunSerializer(allow_null=True)


class ExportListSerializer(serializers.Serializer[Any]):
    """Names of the exports."""

    items = serializers.ListField(child=serializers.CharField())


def _forward(attrs: dict[str, Any]) -> dict[str, Any]:
    """A range that does not run backwards, nor to the end of the calendar."""
    if attrs["last"] < attrs["first"]:
        raise serializers.ValidationError(
            {"last": _("The range ends before it starts.")}, code="invalid"
        )
    if attrs["last"] == dt.date.max:
        raise serializers.ValidationError({"last": _("The range ends too late.")}, code="invalid")
    return attrs
