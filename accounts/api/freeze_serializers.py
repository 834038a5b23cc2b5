"""Wire format of freezes."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.freeze_types import AppealState, FreezeCode, FreezeGrounds, FreezeKind
from accounts.models.freezes import EVIDENCE_LENGTH_MAX, NOTICE_LENGTH_MAX, REASON_LENGTH_MAX
from facefusion_site.common.serializers import StrictCharField

KINDS = FreezeKind.values
DECISIONS = [state.value for state in AppealState if state is not AppealState.NONE]


class ActiveFreezeSerializer(serializers.Serializer[Any]):
    """What an account is told about a freeze of its own."""

    kind = serializers.ChoiceField(choices=KINDS)
    notice = serializers.CharField(source="notice_text")
    frozen_at = serializers.DateTimeField(source="created_at")
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text=_("When it ends by itself; empty: not before it is lifted.")
    )


class FreezeSerializer(serializers.Serializer[Any]):
    """A freeze as staff see it."""

    id = serializers.UUIDField()
    user = serializers.CharField(source="user.user_ref")
    kind = serializers.ChoiceField(choices=KINDS)
    code = serializers.ChoiceField(choices=FreezeCode.values)
    reason = serializers.CharField()
    evidence = serializers.CharField()
    notice = serializers.CharField()
    source = serializers.CharField(  # type: ignore[assignment]  # a field of this name, not of it
        help_text=_("`staff`, or the rule that froze the account.")
    )
    frozen_by = serializers.CharField(source="created_by.user_ref", default=None, allow_null=True)
    frozen_at = serializers.DateTimeField(source="created_at")
    expires_at = serializers.DateTimeField(allow_null=True)
    lifted_at = serializers.DateTimeField(allow_null=True)
    lifted_by = serializers.CharField(source="lifted_by.user_ref", default=None, allow_null=True)
    lift_reason = serializers.CharField()
    appeal = serializers.ChoiceField(choices=AppealState.values)


class FreezeListSerializer(serializers.Serializer[Any]):
    """The freezes of an account, newest first."""

    items = FreezeSerializer(many=True)


class FreezeCreateSerializer(serializers.Serializer[Any]):
    """A freeze to place."""

    kind = serializers.ChoiceField(choices=KINDS)
    code = serializers.ChoiceField(choices=FreezeCode.values, default=FreezeCode.OTHER)
    reason = StrictCharField(max_length=REASON_LENGTH_MAX, help_text=_("For staff."))
    evidence = StrictCharField(
        max_length=EVIDENCE_LENGTH_MAX, required=False, default="", allow_blank=True
    )
    notice = StrictCharField(
        max_length=NOTICE_LENGTH_MAX,
        required=False,
        default="",
        allow_blank=True,
        help_text=_("What the account is told."),
    )
    expires_at = serializers.DateTimeField(
        required=False, default=None, allow_null=True, help_text=_("When it ends by itself.")
    )

    def grounds(self) -> FreezeGrounds:
        """The texts as a value of the accounts app."""
        data = self.validated_data
        return FreezeGrounds(
            code=FreezeCode(data["code"]),
            reason=data["reason"],
            evidence=data["evidence"],
            notice=data["notice"],
        )


class FreezeReasonSerializer(serializers.Serializer[Any]):
    """Why; kept in the audit trail."""

    reason = StrictCharField(max_length=REASON_LENGTH_MAX)


class AppealSerializer(FreezeReasonSerializer):
    """Where the appeal of the account stands."""

    state = serializers.ChoiceField(choices=DECISIONS)
