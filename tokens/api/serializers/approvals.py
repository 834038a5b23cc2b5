"""Wire format of approvals and their policies."""

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
from tokens.approval_selectors import Inbox
from tokens.approvals import Ballot, VoteDecision

ROLES = ("operator", "admin")
SUBJECTS = ("recharge", "reversal")
POSITIVE: dict[str, Any] = {
    "min_value": 1,
    "max_value": BIGINT_MAX,
    "required": False,
    "allow_null": True,
}


class VoteSerializer(serializers.Serializer[Any]):
    """What one person said."""

    voter = serializers.CharField(help_text=_("The voter's user_ref."))
    role = serializers.CharField()
    decision = serializers.CharField(help_text=_("approve, reject or ask."))
    comment = serializers.CharField()
    content_sha256 = serializers.CharField()
    second_factor_at = serializers.DateTimeField(
        allow_null=True, help_text=_("Empty for API keys and for questions without a code.")
    )
    voted_at = serializers.DateTimeField()


class ApprovalSerializer(serializers.Serializer[Any]):
    """A batch that waits, or waited, for others than its maker."""

    id = serializers.UUIDField()
    batch_id = serializers.UUIDField()
    status = serializers.CharField(
        help_text=_("open, blocked_no_approver, approved, rejected, expired or recalled.")
    )
    is_my_turn = serializers.BooleanField(help_text=_("Whether you may decide it now."))
    maker = serializers.CharField(help_text=_("The maker's user_ref."))
    reason = serializers.CharField()
    operator = serializers.CharField()
    subject = serializers.CharField(help_text=_("recharge or reversal."))
    rows_count = serializers.IntegerField()
    tokens_total = serializers.IntegerField()
    largest_row = serializers.IntegerField()
    maker_day_tokens = serializers.IntegerField(
        help_text=_("Tokens of the maker's batches of the 24 hours before, this one included.")
    )
    content_sha256 = serializers.CharField(help_text=_("Name it in your vote."))
    approvals_count = serializers.IntegerField()
    approvals_required = serializers.IntegerField()
    roles = serializers.ListField(child=serializers.CharField())
    policies = serializers.ListField(
        child=serializers.CharField(), help_text=_("Names of the policies the batch reached.")
    )
    opened_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    age_s = serializers.IntegerField(help_text=_("Seconds it has waited, or had to wait."))
    votes = VoteSerializer(many=True)


class ApprovalPageSerializer(serializers.Serializer[Any]):
    """A page of requests."""

    items = ApprovalSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ApprovalQuerySerializer(PageQuerySerializer):
    """Query parameters of the list of requests."""

    inbox = serializers.ChoiceField(
        choices=[inbox.value for inbox in Inbox],
        default=Inbox.MINE.value,
        help_text=_("mine: yours to decide; waiting: anybody's; all: decided ones too."),
    )


class VoteRequestSerializer(serializers.Serializer[Any]):
    """A vote on a content."""

    decision = serializers.ChoiceField(choices=[decision.value for decision in VoteDecision])
    content_sha256 = serializers.RegexField(
        r"^[0-9a-f]{64}\Z", help_text=_("The digest of the content you have looked at.")
    )
    comment = StrictCharField(
        max_length=500,
        required=False,
        default="",
        allow_blank=True,
        help_text=_("Needed to reject and to ask."),
    )

    def to_ballot(self, **proof: Any) -> Ballot:
        """The validated body, with how the caller has proven who they are."""
        data = self.validated_data
        return Ballot(
            decision=VoteDecision(data["decision"]),
            content_sha256=data["content_sha256"],
            comment=data["comment"],
            **proof,
        )


class DecisionSerializer(serializers.Serializer[Any]):
    """Where the request stands after the vote."""

    request_id = serializers.UUIDField()
    batch_id = serializers.UUIDField()
    status = serializers.CharField(help_text=_("open, approved or rejected."))
    approvals_count = serializers.IntegerField()
    approvals_required = serializers.IntegerField()


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
