"""Wire format of wallets and adjustments."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import StrictCharField, StrictIntegerField
from tokens.api.serializers.balance import TransferSerializer
from tokens.models import Wallet
from tokens.services.adjustments import REASON_LENGTH_MAX
from tokens.wallets import AdjustmentOrder

STATUSES = [value.lower() for value in Wallet.Status.values]
# Wider than any wallet, so that the service says what the limit is; and no number overflows.
AMOUNT_BOUND = 2**62


class WalletSerializer(serializers.Serializer[Any]):
    """A wallet as operators see it."""

    user = serializers.CharField(source="user_ref")
    status = serializers.ChoiceField(choices=STATUSES)
    available = serializers.IntegerField(help_text=_("Free to spend, were it active."))
    held = serializers.IntegerField(help_text=_("Set aside for queued and running jobs."))
    pending = serializers.IntegerField(help_text=_("Becomes effective later."))
    balance_max = serializers.IntegerField(allow_null=True)
    opened_at = serializers.DateTimeField(
        allow_null=True, help_text=_("Empty while the wallet was never used.")
    )
    reason = serializers.CharField(help_text=_("Why it has its status, where it was changed."))
    changed_at = serializers.DateTimeField(allow_null=True)


class ReasonSerializer(serializers.Serializer[Any]):
    """Why an operator does it; kept in the audit trail."""

    reason = StrictCharField(max_length=REASON_LENGTH_MAX)


class CloseSerializer(ReasonSerializer):
    """How to close."""

    write_off = serializers.BooleanField(
        default=False, help_text=_("Take away what is left, as an adjustment.")
    )


class AdjustmentRequestSerializer(ReasonSerializer):
    """A correction of one wallet."""

    user = StrictCharField(max_length=64)
    amount = StrictIntegerField(
        min_value=-AMOUNT_BOUND,
        max_value=AMOUNT_BOUND,
        help_text=_("Whole tokens: above zero gives, below zero takes."),
    )
    dry_run = serializers.BooleanField(default=False)

    def order(self) -> AdjustmentOrder:
        """The request as a value of the tokens app."""
        data = self.validated_data
        return AdjustmentOrder(user_ref=data["user"], amount=data["amount"], reason=data["reason"])


class LotDrawSerializer(serializers.Serializer[Any]):
    """What a correction takes from one lot."""

    lot = serializers.CharField()
    tokens = serializers.IntegerField()


class AdjustmentPreviewSerializer(serializers.Serializer[Any]):
    """What a correction would do at this moment."""

    user = serializers.CharField(source="user_ref")
    amount = serializers.IntegerField()
    available_before = serializers.IntegerField()
    available_after = serializers.IntegerField()
    lots_count = serializers.IntegerField(help_text=_("Lots that tokens would be taken from."))
    draws = LotDrawSerializer(many=True, help_text=_("The first of these lots, in burn order."))


class AdjustmentTransferSerializer(TransferSerializer):
    """One row of the journal that the correction wrote."""


class AdjustmentSerializer(serializers.Serializer[Any]):
    """A correction with its transfers."""

    id = serializers.UUIDField()
    user = serializers.CharField(source="user_ref")
    amount = serializers.IntegerField()
    reason = serializers.CharField()
    actor = serializers.CharField(help_text=_("user_ref of who made it."))
    available_before = serializers.IntegerField(help_text=_("What could be spent before."))
    available_after = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    transfers = AdjustmentTransferSerializer(many=True)
