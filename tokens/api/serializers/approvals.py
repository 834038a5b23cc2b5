"""Wire format of approvals and their policies."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from facefusion_site.common.serializers import (
    PageQuerySerializer,
    StrictCharField,
    StrictIntegerField,
)
from tokens.api.pages import BIGINT_MAX
from tokens.approval_selectors import Inbox
from tokens.approvals import Ballot, Obstacle, VoteDecision


@extend_schema_field({"oneOf": [{"const": obstacle.value} for obstacle in Obstacle]})
class ObstacleField(serializers.CharField):
    """Why a person may not decide; from a list of choices the schema would drop the empty one."""


class AnswerSerializer(serializers.Serializer[Any]):
    """What the maker said to a question."""

    author = serializers.CharField(help_text=_("The maker's user_ref."))
    comment = serializers.CharField()
    answered_at = serializers.DateTimeField()


class VoteSerializer(serializers.Serializer[Any]):
    """What one person said."""

    id = serializers.IntegerField(help_text=_("Of a question: name it in the answer."))
    voter = serializers.CharField(help_text=_("The voter's user_ref."))
    role = serializers.CharField()
    decision = serializers.CharField(help_text=_("approve, reject or ask."))
    comment = serializers.CharField()
    content_sha256 = serializers.CharField()
    second_factor_at = serializers.DateTimeField(
        allow_null=True, help_text=_("Empty for API keys and for questions without a code.")
    )
    voted_at = serializers.DateTimeField()
    answer = AnswerSerializer(
        allow_null=True, help_text=_("To a question; empty until the maker answers.")
    )


class ApprovalSerializer(serializers.Serializer[Any]):
    """A batch that waits, or waited, for others than its maker."""

    id = serializers.UUIDField()
    batch_id = serializers.UUIDField()
    status = serializers.CharField(
        help_text=_("open, blocked_no_approver, approved, rejected, expired or recalled.")
    )
    is_my_turn = serializers.BooleanField(help_text=_("Whether you may decide it now."))
    obstacle = ObstacleField(
        help_text=_("Why you may not: decided, expired, maker, voted or role; empty if you may.")
    )
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


class BallotSerializer(serializers.Serializer[Any]):
    """What votes have in common; a subclass has the fields decision, content_sha256, comment."""

    def to_ballot(self, **proof: Any) -> Ballot:
        """The validated body, with how the caller has proven who they are."""
        data = self.validated_data
        return Ballot(
            decision=VoteDecision(data["decision"]),
            content_sha256=data["content_sha256"],
            comment=data["comment"],
            **proof,
        )


class VoteRequestSerializer(BallotSerializer):
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


class AnswerRequestSerializer(serializers.Serializer[Any]):
    """The maker's answer to one question."""

    question_id = StrictIntegerField(
        min_value=1, max_value=BIGINT_MAX, help_text=_("The id of the vote that asks.")
    )
    comment = StrictCharField(max_length=500)


class DecisionSerializer(serializers.Serializer[Any]):
    """Where the request stands after the vote."""

    request_id = serializers.UUIDField()
    batch_id = serializers.UUIDField()
    status = serializers.CharField(help_text=_("open, approved or rejected."))
    approvals_count = serializers.IntegerField()
    approvals_required = serializers.IntegerField()
