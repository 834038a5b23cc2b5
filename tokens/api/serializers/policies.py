"""Wire format of approval policies and their changes."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import (
    PageQuerySerializer,
    StrictCharField,
    StrictIntegerField,
)
from tokens.api.pages import BIGINT_MAX
from tokens.api.serializers.approvals import BallotSerializer, ObstacleField
from tokens.approvals import VoteDecision

ROLES = ("operator", "admin")
SUBJECTS = ("recharge", "reversal")
POSITIVE: dict[str, Any] = {
    "min_value": 1,
    "max_value": BIGINT_MAX,
    "required": False,
    "allow_null": True,
}


class PolicyWriteSerializer(serializers.Serializer[Any]):
    """Fields of a policy; those left out keep their value."""

    name = StrictCharField(max_length=100)
    subject = serializers.ChoiceField(choices=SUBJECTS, required=False)
    is_active = serializers.BooleanField(required=False)
    row_tokens_min = StrictIntegerField(
        **POSITIVE, help_text=_("Reached by a line of as many tokens.")
    )
    batch_tokens_min = StrictIntegerField(
        **POSITIVE, help_text=_("Reached by a batch of as many tokens.")
    )
    rows_min = StrictIntegerField(
        **POSITIVE | {"max_value": 2**31 - 1}, help_text=_("Reached by as many lines.")
    )
    maker_day_tokens_min = StrictIntegerField(
        **POSITIVE, help_text=_("Reached by as many tokens of one person in 24 hours.")
    )
    approvals_required = StrictIntegerField(min_value=1, max_value=10, required=False)
    roles = serializers.ListField(
        child=serializers.ChoiceField(choices=ROLES), allow_empty=False, max_length=len(ROLES)
    )
    expires_after_s = StrictIntegerField(min_value=60, max_value=30 * 24 * 3600, required=False)
    is_open_to_keys = serializers.BooleanField(
        required=False, help_text=_("Let API keys vote; they have no second factor.")
    )

    def to_values(self) -> dict[str, Any]:
        """The validated body in the words of the model."""
        values = dict(self.validated_data)
        if "subject" in values:
            values["subject"] = values["subject"].upper()
        if "roles" in values:
            values["roles"] = [role.upper() for role in values["roles"]]
        return values


class PolicySerializer(serializers.Serializer[Any]):
    """A policy."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    subject = serializers.CharField()
    is_active = serializers.BooleanField()
    row_tokens_min = serializers.IntegerField(allow_null=True)
    batch_tokens_min = serializers.IntegerField(allow_null=True)
    rows_min = serializers.IntegerField(allow_null=True)
    maker_day_tokens_min = serializers.IntegerField(allow_null=True)
    approvals_required = serializers.IntegerField()
    roles = serializers.ListField(child=serializers.CharField())
    expires_after_s = serializers.IntegerField()
    is_open_to_keys = serializers.BooleanField()
    updated_at = serializers.DateTimeField()


class PolicyListSerializer(serializers.Serializer[Any]):
    """All policies by name."""

    items = PolicySerializer(many=True)


class PolicyStateSerializer(serializers.Serializer[Any]):
    """The fields of a policy that a change is about."""

    name = serializers.CharField()
    subject = serializers.CharField()
    is_active = serializers.BooleanField()
    row_tokens_min = serializers.IntegerField(allow_null=True)
    batch_tokens_min = serializers.IntegerField(allow_null=True)
    rows_min = serializers.IntegerField(allow_null=True)
    maker_day_tokens_min = serializers.IntegerField(allow_null=True)
    approvals_required = serializers.IntegerField()
    roles = serializers.ListField(child=serializers.CharField())
    expires_after_s = serializers.IntegerField()
    is_open_to_keys = serializers.BooleanField()


class PolicyChangeSerializer(serializers.Serializer[Any]):
    """A proposed change of a policy; another administrator than its maker decides it."""

    id = serializers.UUIDField()
    policy_id = serializers.UUIDField()
    policy_name = serializers.CharField()
    status = serializers.CharField(help_text=_("open, applied, rejected, expired or recalled."))
    is_my_turn = serializers.BooleanField(help_text=_("Whether you may decide it now."))
    obstacle = ObstacleField(
        help_text=_("Why you may not: decided, expired, maker, voted or role; empty if you may.")
    )
    is_new = serializers.BooleanField(help_text=_("Whether the policy does not exist yet."))
    is_bootstrap = serializers.BooleanField(
        help_text=_("The first policy of all, which was applied without a second person.")
    )
    maker = serializers.CharField(help_text=_("The maker's user_ref."))
    checker = serializers.CharField(allow_null=True, help_text=_("Who decided it."))
    comment = serializers.CharField(help_text=_("What the checker said."))
    content_sha256 = serializers.CharField(help_text=_("Name it in your vote."))
    before = PolicyStateSerializer(allow_null=True)
    after = PolicyStateSerializer()
    opened_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


class PolicyChangePageSerializer(serializers.Serializer[Any]):
    """A page of changes."""

    items = PolicyChangeSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class PolicyChangeQuerySerializer(PageQuerySerializer):
    """Query parameters of the list of changes."""

    open = serializers.BooleanField(
        default=False, help_text=_("Only those that can still be decided.")
    )


class PolicyChangeVoteSerializer(BallotSerializer):
    """A decision on a change."""

    decision = serializers.ChoiceField(
        choices=[VoteDecision.APPROVE.value, VoteDecision.REJECT.value]
    )
    content_sha256 = serializers.RegexField(
        r"^[0-9a-f]{64}\Z", help_text=_("The digest of the change you have looked at.")
    )
    comment = StrictCharField(
        max_length=500,
        required=False,
        default="",
        allow_blank=True,
        help_text=_("Needed to reject."),
    )
