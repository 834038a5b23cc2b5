"""Wire format of decisions about one's own account."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import StrictCharField
from risk.models.decisions import TEXT_LENGTH_MAX
from risk.types import Action, Appeal

ACTIONS = [Action.SLOW.value, Action.FREEZE.value]
APPEALS = Appeal.values


class RiskDecisionSerializer(serializers.Serializer[Any]):
    """What an account is told: what was done, until when, and where its appeal stands."""

    id = serializers.UUIDField()
    action = serializers.ChoiceField(choices=ACTIONS)
    # Plain text: the schema's enumeration of kinds has no null.
    freeze_kind = serializers.CharField(
        source="frozen_kind", allow_null=True, help_text=_("What is frozen; null where nothing is.")
    )
    notice = serializers.CharField(source="rule.notice_text")
    decided_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text=_("When it ends by itself; empty: not before somebody looks.")
    )
    closed_at = serializers.DateTimeField(allow_null=True)
    appeal = serializers.ChoiceField(choices=APPEALS)
    appeal_text = serializers.CharField()
    answer = serializers.CharField()


class RiskDecisionListSerializer(serializers.Serializer[Any]):
    """The decisions about an account, newest first."""

    items = RiskDecisionSerializer(many=True)


class RiskAppealSerializer(serializers.Serializer[Any]):
    """Why the account should be free."""

    text = StrictCharField(max_length=TEXT_LENGTH_MAX)
