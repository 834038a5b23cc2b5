"""Wire format of the requests that recharge, retry and reverse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.types import USER_REF_PATTERN, Plan, Role
from facefusion_site.common import idempotency
from facefusion_site.common.serializers import StrictCharField, StrictIntegerField
from tokens.api.pages import BIGINT_MAX
from tokens.errors import RechargeTooLargeError
from tokens.recharge_rows import StagedRow, iso
from tokens.types import (
    Category,
    Funding,
    LotTerms,
    RechargeItem,
    RechargeMode,
    RechargeOrder,
    RechargeRequest,
    RechargeSource,
    ReversalOrder,
    ReversalPolicy,
    UserFilter,
)

CATEGORIES = [category.value for category in Category]
FUNDINGS = [funding.value for funding in Funding]
MODES = [mode.value for mode in RechargeMode]
PRIORITY_MAX = 100
TEXT_MAX = 64
FILTER_USERS_MAX = 1_000


class LotTermsSerializer(serializers.Serializer[Any]):
    """How granted tokens behave."""

    category = serializers.ChoiceField(choices=CATEGORIES, required=False)
    priority = serializers.IntegerField(
        min_value=0, max_value=PRIORITY_MAX, required=False, help_text=_("0 burns first, 100 last.")
    )
    effective_at = serializers.DateTimeField(
        required=False, allow_null=True, default_timezone=dt.UTC
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default_timezone=dt.UTC)


class RechargeLineRequestSerializer(LotTermsSerializer):
    """One line with an amount of its own, and terms where they differ from the request's."""

    user = StrictCharField(max_length=TEXT_MAX, help_text=_("The user's user_ref."))
    amount = StrictIntegerField(
        min_value=-BIGINT_MAX, max_value=BIGINT_MAX, help_text=_("Whole tokens, 1 or more.")
    )
    key = StrictCharField(
        max_length=TEXT_MAX,
        required=False,
        default="",
        allow_blank=True,
        help_text=_("Your own name for the line; unique in the batch."),
    )


class RechargeHeadSerializer(LotTermsSerializer):
    """What applies to all rows."""

    mode = serializers.ChoiceField(
        choices=MODES,
        help_text=_("atomic: one bad line refuses all; soft_fail: good lines go through."),
    )
    operator = serializers.CharField(
        max_length=128,
        required=False,
        default="",
        allow_blank=True,
        help_text=_("A label of yours; the authenticated caller is always recorded beside it."),
    )
    reason = serializers.CharField(max_length=255, help_text=_("Why; kept in the audit trail."))
    funding = serializers.ChoiceField(
        choices=FUNDINGS, required=False, help_text=_("Who pays for the tokens.")
    )
    ticket = serializers.CharField(
        max_length=TEXT_MAX,
        required=False,
        allow_blank=True,
        help_text=_("Where the recharge was asked for."),
    )
    dry_run = serializers.BooleanField(
        default=False, help_text=_("Judge every row and change nothing.")
    )

    def order(self, *, source: RechargeSource, fingerprint: str) -> RechargeOrder:
        """The validated head as a value of the tokens app."""
        data = self.validated_data
        return RechargeOrder(
            mode=RechargeMode(data["mode"]),
            reason=data["reason"],
            operator=data["operator"],
            terms=lot_terms(data, LotTerms()),
            source=source,
            fingerprint=fingerprint,
            funding=Funding(data["funding"]) if "funding" in data else None,
            ticket=data.get("ticket", ""),
        )


class RechargeUploadSerializer(RechargeHeadSerializer):
    """The parameters beside a file or a stream of rows."""

    amount = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=BIGINT_MAX,
        help_text=_("Whole tokens for rows without an amount."),
    )

    def template(self) -> StagedRow:
        """The row for nobody that carries the request's terms."""
        terms = lot_terms(self.validated_data, LotTerms())
        return StagedRow(
            user_ref="",
            amount=0,
            key="",
            category=terms.category.name,
            priority=terms.priority,
            effective_at=iso(terms.effective_at),
            expires_at=iso(terms.expires_at),
        )


class UserFilterSerializer(serializers.Serializer[Any]):
    """Which active users; every condition that is set must hold."""

    role = serializers.ChoiceField(choices=[role.lower() for role in Role.values], required=False)
    user_ref_prefix = serializers.RegexField(f"^{USER_REF_PATTERN}$", required=False)
    users = serializers.ListField(
        child=StrictCharField(max_length=TEXT_MAX), required=False, max_length=FILTER_USERS_MAX
    )
    joined_after = serializers.DateTimeField(required=False, default_timezone=dt.UTC)
    plan = serializers.ChoiceField(choices=Plan.values, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A filter without a condition would credit everybody by accident."""
        if not attrs:
            raise serializers.ValidationError(
                _("Name at least one condition."), code="filter_empty"
            )
        return attrs


class RechargeCreateSerializer(RechargeHeadSerializer):
    """``users`` or ``filter`` with one ``amount``, or ``lines`` with an amount each."""

    operator = StrictCharField(
        max_length=128,
        required=False,
        default="",
        allow_blank=True,
        help_text=_("A label of yours; the authenticated caller is always recorded beside it."),
    )
    reason = StrictCharField(max_length=255, help_text=_("Why; kept in the audit trail."))
    ticket = StrictCharField(
        max_length=TEXT_MAX,
        required=False,
        allow_blank=True,
        help_text=_("Where the recharge was asked for."),
    )
    users = serializers.ListField(
        child=StrictCharField(max_length=TEXT_MAX),
        required=False,
        help_text=_("user_ref of every user to credit with “amount”."),
    )
    filter = UserFilterSerializer(required=False, help_text=_("Whom to credit with “amount”."))
    amount = StrictIntegerField(
        required=False, min_value=1, max_value=BIGINT_MAX, help_text=_("Whole tokens per user.")
    )
    lines = RechargeLineRequestSerializer(many=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Exactly one of the shapes."""
        given = [name for name in ("users", "filter", "lines") if name in attrs]
        has_amount = "amount" in attrs
        if len(given) > 1 or (has_amount and given == ["lines"]) or not (given or has_amount):
            raise serializers.ValidationError(
                _("Send “users” and “amount”, or “filter” and “amount”, or “lines”."),
                code="ambiguous",
            )
        missing = "users" if not given else "amount"
        if not given or (given != ["lines"] and not has_amount):
            raise serializers.ValidationError(
                {missing: _("“users” or “filter” and “amount” go together.")}, code="required"
            )
        return attrs

    def to_request(self) -> RechargeRequest:
        """The validated body as a value of the tokens app.

        Raises:
            RechargeTooLargeError: more lines than one JSON body may have.
        """
        data = self.validated_data
        terms = lot_terms(data, LotTerms())
        if "lines" in data:
            items = tuple(_item(line, terms) for line in data["lines"])
        else:
            items = tuple(RechargeItem(user_ref, data["amount"]) for user_ref in data["users"])
        if len(items) > settings.RECHARGE_LINES_MAX:
            raise RechargeTooLargeError(
                _("A JSON body carries at most %(max)d lines; this one has %(count)d. Send NDJSON.")
                % {"max": settings.RECHARGE_LINES_MAX, "count": len(items)},
                param="users",
                lines_max=settings.RECHARGE_LINES_MAX,
            )
        return RechargeRequest(
            items=items,
            mode=RechargeMode(data["mode"]),
            operator=data["operator"],
            reason=data["reason"],
            terms=terms,
        )

    def users_filter(self) -> UserFilter:
        """The validated filter."""
        data = self.validated_data["filter"]
        return UserFilter(
            role=data["role"].upper() if "role" in data else None,
            user_ref_prefix=data.get("user_ref_prefix"),
            user_refs=tuple(data["users"]) if "users" in data else None,
            joined_after=data.get("joined_after"),
            plan=data.get("plan"),
        )

    def fingerprint(self) -> str:
        """The digest of the validated body without what does not change its effect."""
        body = {name: value for name, value in self.validated_data.items() if name != "dry_run"}
        return idempotency.fingerprint(body)


class RetrySerializer(serializers.Serializer[Any]):
    """How to retry the failures."""

    mode = serializers.ChoiceField(
        choices=MODES, required=False, help_text=_("That of the batch unless given.")
    )

    def mode_wanted(self) -> RechargeMode | None:
        """The mode asked for, if any."""
        mode = self.validated_data.get("mode")
        return None if mode is None else RechargeMode(mode)


class ReversalSerializer(serializers.Serializer[Any]):
    """What to take back."""

    mode = serializers.ChoiceField(choices=MODES)
    reason = StrictCharField(max_length=255)
    operator = StrictCharField(max_length=128, required=False, default="", allow_blank=True)
    policy = serializers.ChoiceField(
        choices=[policy.value for policy in ReversalPolicy],
        default=ReversalPolicy.REFUSE.value,
        help_text=_("Where tokens were used: refuse the row, or take back the unused part."),
    )
    rows = serializers.ListField(
        child=StrictIntegerField(min_value=1, max_value=BIGINT_MAX),
        required=False,
        help_text=_("row_no of each row to reverse; all applied rows unless given."),
    )
    dry_run = serializers.BooleanField(default=False)

    def order(self) -> ReversalOrder:
        """The validated body as a value of the tokens app."""
        data = self.validated_data
        return ReversalOrder(
            mode=RechargeMode(data["mode"]),
            policy=ReversalPolicy(data["policy"]),
            reason=data["reason"],
            operator=data["operator"],
            row_nos=tuple(sorted(set(data["rows"]))) if "rows" in data else None,
        )


def lot_terms(data: Mapping[str, Any], default: LotTerms) -> LotTerms:
    """The terms in ``data``, and those of ``default`` where it has none."""
    return LotTerms(
        category=Category(data["category"]) if "category" in data else default.category,
        priority=data.get("priority", default.priority),
        effective_at=data.get("effective_at", default.effective_at),
        expires_at=data.get("expires_at", default.expires_at),
    )


def _item(line: Mapping[str, Any], terms: LotTerms) -> RechargeItem:
    return RechargeItem(
        user_ref=line["user"],
        amount=line["amount"],
        key=line["key"],
        terms=lot_terms(line, terms),
    )
