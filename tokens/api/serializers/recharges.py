"""Wire format of batches and their lines."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from tokens.models import RechargeBatch, RechargeLine
from tokens.recharge_selectors import FAILED
from tokens.types import RechargeLineView


class RechargeLineSerializer(serializers.Serializer[RechargeLineView]):
    """The outcome of one line."""

    row_no = serializers.IntegerField(help_text=_("Counts from 1 in the order of the request."))
    key = serializers.CharField(help_text=_("Your name for the line, if you gave one."))
    user = serializers.CharField(source="user_ref")
    amount = serializers.IntegerField()
    code = serializers.CharField(
        help_text=", ".join(RechargeLine.Outcome.values) + ". One per line: the first that applies."
    )
    message = serializers.CharField(help_text=_("The code in words; empty when applied."))


class RechargeBatchSerializer(serializers.Serializer[Any]):
    """A batch as its operators see it in lists."""

    id = serializers.UUIDField(source="batch_id")
    mode = serializers.CharField()
    status = serializers.CharField(
        help_text=", ".join(value.lower() for value in RechargeBatch.Status.values)
    )
    # DRF collects the declaration away, so the base class keeps its own property of this name.
    source = serializers.CharField()  # type: ignore[assignment]
    operator = serializers.CharField()
    reason = serializers.CharField()
    funding = serializers.CharField(help_text=_("Who pays for the tokens; empty if not said."))
    ticket = serializers.CharField()
    lines_count = serializers.IntegerField()
    done_count = serializers.IntegerField(help_text=_("Lines that have their outcome."))
    applied_count = serializers.IntegerField()
    failed_count = serializers.IntegerField()
    tokens_requested = serializers.IntegerField(help_text=_("The sum of all positive amounts."))
    tokens_total = serializers.IntegerField(
        help_text=_("Tokens credited by the applied lines, or taken back by a reversal.")
    )
    content_sha256 = serializers.CharField(
        help_text=_("Digest of the terms and every row; approvals name it.")
    )
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    rows_per_s = serializers.FloatField(allow_null=True, help_text=_("While being applied."))
    eta_s = serializers.IntegerField(
        allow_null=True, help_text=_("Seconds still needed, while being applied.")
    )
    retry_of = serializers.UUIDField(allow_null=True)
    reversal_of = serializers.UUIDField(allow_null=True)
    reversal_policy = serializers.CharField()


class RechargeReceiptSerializer(RechargeBatchSerializer):
    """A batch with the first of the lines that failed."""

    retries = serializers.ListField(child=serializers.UUIDField())
    reversals = serializers.ListField(child=serializers.UUIDField())
    failed_users = serializers.SerializerMethodField(
        help_text=_("user_ref of the failed lines in “failures”, in the order of the request.")
    )
    failures = RechargeLineSerializer(many=True)

    def get_failed_users(self, receipt: Any) -> list[str]:
        """The short form of ``failures``."""
        return [line.user_ref for line in receipt.failures]


class RechargePreviewSerializer(serializers.Serializer[Any]):
    """What a batch would do at this moment."""

    mode = serializers.CharField()
    status = serializers.CharField(help_text=_("applied, partially_applied or failed."))
    lines_count = serializers.IntegerField()
    applied_count = serializers.IntegerField()
    failed_count = serializers.IntegerField()
    tokens_total = serializers.IntegerField()
    outcomes = serializers.DictField(
        child=serializers.IntegerField(), help_text=_("Lines by code.")
    )
    content_sha256 = serializers.CharField()
    failed_users = serializers.SerializerMethodField()
    failures = RechargeLineSerializer(many=True)

    def get_failed_users(self, preview: Any) -> list[str]:
        """The short form of ``failures``."""
        return [line.user_ref for line in preview.failures]


class RechargeBatchPageSerializer(serializers.Serializer[Any]):
    """A page of batches, newest first."""

    items = RechargeBatchSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class RechargeLinePageSerializer(serializers.Serializer[Any]):
    """A page of lines in the order of the request."""

    items = RechargeLineSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class BatchQuerySerializer(serializers.Serializer[Any]):
    """Which batches a list shows."""

    status = serializers.ChoiceField(
        choices=[value.lower() for value in RechargeBatch.Status.values],
        required=False,
        default=None,
    )


class LineQuerySerializer(serializers.Serializer[Any]):
    """Which lines a list shows."""

    outcome = serializers.ChoiceField(
        choices=[FAILED, *RechargeLine.Outcome.values],
        required=False,
        default=None,
        help_text=_("Only lines with this code; failed: any but applied."),
    )
