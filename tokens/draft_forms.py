"""Forms of recharges in preparation and of user segments."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.types import USER_REF_PATTERN, Plan, Role
from tokens import draft_selectors
from tokens.drafts import DraftTerms, SegmentFilter
from tokens.forms import CATEGORIES
from tokens.models import RechargeBatch, RechargeDraft
from tokens.recharge_rows import BIGINT_MAX
from tokens.types import Category, Funding, RechargeMode

CODE_MAX = 64
LIST_CHARS_MAX = 2_000_000
MODES = [
    (mode.value, RechargeBatch.Mode[mode.name].label)
    for mode in (RechargeMode.SOFT_FAIL, RechargeMode.ATOMIC)
]
FUNDING = [("", "---"), *((it.value, RechargeBatch.Funding[it.name].label) for it in Funding)]


class RowsForm(forms.Form):
    """Exactly one of a file, a pasted list and a segment."""

    file = forms.FileField(
        label=_("File"),
        required=False,
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.xlsx", "class": "recharge-file"}),
    )
    text = forms.CharField(
        label=_("Pasted list"),
        required=False,
        max_length=LIST_CHARS_MAX,
        strip=False,
        help_text=_("One user per line, with an amount after a comma or tab where it differs."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "spellcheck": "false"}),
    )
    segment: forms.ModelChoiceField[Any] = forms.ModelChoiceField(
        label=_("Saved segment"),
        queryset=None,
        required=False,
        empty_label="---",
        help_text=_("Its users of this moment; who joins later gets nothing."),
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        segment = self.fields["segment"]
        assert isinstance(segment, forms.ModelChoiceField)
        segment.queryset = draft_selectors.segments()

    def clean(self) -> dict[str, Any]:
        """One source of rows, no more."""
        data = super().clean() or {}
        given = [name for name in ("file", "text", "segment") if data.get(name)]
        if not self.errors and len(given) != 1:
            raise forms.ValidationError(
                _("Choose a file, paste a list, or choose a segment: exactly one of them."),
                code="rows_ambiguous",
            )
        return data


class TermsForm(forms.Form):
    """What applies to all rows."""

    amount = forms.IntegerField(
        label=_("Tokens per user"),
        min_value=1,
        max_value=BIGINT_MAX,
        required=False,
        help_text=_("For rows without an amount of their own."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    category = forms.ChoiceField(
        label=_("Category"), choices=CATEGORIES, widget=UnfoldAdminSelectWidget
    )
    funding = forms.ChoiceField(
        label=_("Funding source"), choices=FUNDING, widget=UnfoldAdminSelectWidget
    )
    expires_at = forms.SplitDateTimeField(
        label=_("Expires at"),
        required=False,
        help_text=_("UTC; never, when left empty."),
        widget=UnfoldAdminSplitDateTimeWidget,
    )
    mode = forms.ChoiceField(label=_("Mode"), choices=MODES, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(
        label=_("Reason"),
        max_length=255,
        help_text=_("Kept in the audit trail and shown to approvers."),
        widget=UnfoldAdminTextInputWidget,
    )
    ticket = forms.CharField(
        label=_("Ticket"), max_length=64, required=False, widget=UnfoldAdminTextInputWidget
    )

    @classmethod
    def of(cls, draft: RechargeDraft) -> TermsForm:
        """The form with the terms that a draft has."""
        if not draft.reason:
            return cls()
        return cls(
            initial={
                "amount": draft.amount,
                "category": draft.category.lower(),
                "funding": draft.funding.lower(),
                "expires_at": draft.expires_at,
                "mode": draft.mode.lower(),
                "reason": draft.reason,
                "ticket": draft.ticket,
            }
        )

    def terms(self) -> DraftTerms:
        """The cleaned form as a value of the tokens app."""
        data = self.cleaned_data
        return DraftTerms(
            mode=RechargeMode(data["mode"]),
            amount=data["amount"],
            category=Category(data["category"]),
            expires_at=data["expires_at"],
            reason=data["reason"],
            funding=Funding(data["funding"]),
            ticket=data["ticket"],
        )


class SubmitForm(forms.Form):
    """The signature: the digest that was seen, and a second factor."""

    code = forms.CharField(
        label=_("Code of your authenticator"),
        max_length=CODE_MAX,
        required=False,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "text"}
        ),
    )
    batch_sha256 = forms.RegexField(regex=r"^[0-9a-f]{64}$", widget=forms.HiddenInput)

    def __init__(self, *args: Any, is_proven: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_proven:
            self.fields["code"].help_text = _("Not needed: you proved it in the last minutes.")


class SegmentForm(forms.Form):
    """A filter under a name."""

    name = forms.CharField(label=_("Name"), max_length=100, widget=UnfoldAdminTextInputWidget)
    role = forms.ChoiceField(
        label=_("Role"),
        choices=[("", "---"), *Role.choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    plan = forms.ChoiceField(
        label=_("Plan"),
        choices=[("", "---"), *Plan.choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    user_ref_prefix = forms.RegexField(
        label=_("user_ref begins with"),
        regex=f"^{USER_REF_PATTERN}$",
        required=False,
        max_length=64,
        widget=UnfoldAdminTextInputWidget,
    )
    joined_after = forms.SplitDateTimeField(
        label=_("Joined after"),
        required=False,
        help_text=_("UTC"),
        widget=UnfoldAdminSplitDateTimeWidget,
    )

    def users(self) -> SegmentFilter:
        """The conditions as a value of the tokens app."""
        data = dict(self.cleaned_data)
        data.pop("name")
        return SegmentFilter(**data)
