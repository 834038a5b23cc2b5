"""Wire format of balance and statement."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


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
