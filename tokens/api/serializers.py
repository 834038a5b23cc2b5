"""Wire format of the tokens API."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import StrictCharField, StrictIntegerField
from tokens.types import RechargeItem, RechargeLineView, RechargeMode, RechargeRequest

# Amounts below 1 are a per-line outcome, so the wire only bounds what the column can hold.
BIGINT_MAX = 2**63 - 1


class RechargeLineRequestSerializer(serializers.Serializer[Any]):
    """One line with an amount of its own."""

    user = StrictCharField(max_length=64, help_text=_("The user's user_ref."))
    amount = StrictIntegerField(
        min_value=-BIGINT_MAX, max_value=BIGINT_MAX, help_text=_("Whole tokens, 1 or more.")
    )


class RechargeCreateSerializer(serializers.Serializer[Any]):
    """A bulk recharge: ``users`` with one ``amount``, or ``lines`` with an amount each."""

    users = serializers.ListField(
        child=StrictCharField(max_length=64),
        required=False,
        help_text=_("user_ref of every user to credit with “amount”."),
    )
    amount = StrictIntegerField(
        required=False, min_value=1, max_value=BIGINT_MAX, help_text=_("Whole tokens per user.")
    )
    lines = RechargeLineRequestSerializer(many=True, required=False)
    mode = serializers.ChoiceField(
        choices=[mode.value for mode in RechargeMode],
        help_text=_("atomic: one bad line refuses all; soft_fail: good lines go through."),
    )
    operator = StrictCharField(
        max_length=128,
        required=False,
        default="",
        allow_blank=True,
        help_text=_("A label of yours; the authenticated caller is always recorded beside it."),
    )
    reason = StrictCharField(max_length=255, help_text=_("Why; kept in the audit trail."))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Exactly one of the two shapes."""
        is_uniform = "users" in attrs or "amount" in attrs
        if is_uniform == ("lines" in attrs):
            raise serializers.ValidationError(
                _("Send either “users” and “amount”, or “lines”."), code="ambiguous"
            )
        for field in ("users", "amount") if is_uniform else ():
            if field not in attrs:
                raise serializers.ValidationError(
                    {field: _("“users” and “amount” go together.")}, code="required"
                )
        return attrs

    def to_request(self) -> RechargeRequest:
        """The validated body as a value of the tokens app."""
        data = self.validated_data
        if "lines" in data:
            items = tuple(RechargeItem(line["user"], line["amount"]) for line in data["lines"])
        else:
            items = tuple(RechargeItem(user_ref, data["amount"]) for user_ref in data["users"])
        return RechargeRequest(
            items=items,
            mode=RechargeMode(data["mode"]),
            operator=data["operator"],
            reason=data["reason"],
        )


class RechargeLineSerializer(serializers.Serializer[RechargeLineView]):
    """The outcome of one line."""

    row_no = serializers.IntegerField(help_text=_("Counts from 1 in the order of the request."))
    user = serializers.CharField(source="user_ref")
    amount = serializers.IntegerField()
    code = serializers.CharField(
        help_text=_(
            "applied, rolled_back, account_not_found, amount_not_positive, amount_out_of_range or"
            " duplicate_row_in_batch."
        )
    )


class RechargeBatchSerializer(serializers.Serializer[Any]):
    """A batch as its operators see it in lists."""

    id = serializers.UUIDField(source="batch_id")
    mode = serializers.CharField()
    status = serializers.CharField(help_text=_("applied, partially_applied or failed."))
    operator = serializers.CharField()
    reason = serializers.CharField()
    lines_count = serializers.IntegerField()
    applied_count = serializers.IntegerField()
    failed_count = serializers.IntegerField()
    tokens_total = serializers.IntegerField(help_text=_("Tokens credited by the applied lines."))
    created_at = serializers.DateTimeField()


class RechargeReceiptSerializer(RechargeBatchSerializer):
    """A batch with everything that failed."""

    failed_users = serializers.SerializerMethodField(
        help_text=_("user_ref of every failed line, in the order of the request.")
    )
    failures = RechargeLineSerializer(many=True)

    def get_failed_users(self, receipt: Any) -> list[str]:
        """The short form of ``failures``."""
        return [line.user_ref for line in receipt.failures]


class RechargeBatchPageSerializer(serializers.Serializer[Any]):
    """A page of batches, newest first."""

    items = RechargeBatchSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class RechargeLinePageSerializer(serializers.Serializer[Any]):
    """A page of lines in the order of the request."""

    items = RechargeLineSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class BalanceSerializer(serializers.Serializer[Any]):
    """The caller's wallet."""

    available = serializers.IntegerField(help_text=_("Free to spend."))
    held = serializers.IntegerField(help_text=_("Set aside for queued and running jobs."))
    total = serializers.IntegerField()


class TransferSerializer(serializers.Serializer[Any]):
    """One row of the journal."""

    id = serializers.CharField()
    kind = serializers.CharField(help_text=_("recharge, hold, settle or release."))
    tokens = serializers.IntegerField(help_text=_("How many tokens moved."))
    available_change = serializers.IntegerField(
        help_text=_("What it did to the available balance; 0 for a settle, whose hold took them.")
    )
    reference = serializers.CharField(help_text=_("The batch or job behind it."))
    recorded_at = serializers.DateTimeField()


class StatementLineSerializer(TransferSerializer):
    """One row of the journal with the balance right after it."""

    available_after = serializers.IntegerField()
    held_after = serializers.IntegerField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Flatten the line: the client sees one object per row."""
        return {
            **TransferSerializer(instance.transfer).data,
            "available_after": instance.available_after,
            "held_after": instance.held_after,
        }


class StatementPageSerializer(serializers.Serializer[Any]):
    """A page of the statement, newest first."""

    items = StatementLineSerializer(many=True, source="lines")
    next_cursor = serializers.CharField(allow_null=True)
