"""Forms of the recharge console."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from tokens.models import CreditLot, RechargeBatch
from tokens.types import (
    Category,
    RechargeMode,
    ReversalOrder,
    ReversalPolicy,
)

MODES = [("", "---"), *((mode.value, RechargeBatch.Mode[mode.name].label) for mode in RechargeMode)]
CATEGORIES = [(category.value, CreditLot.Category[category.name].label) for category in Category]
PRIORITY_MAX = 100


class StepForm(forms.Form):
    """A confirmation. The hidden key makes a second click the same request."""

    key = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"key": uuid.uuid4().hex})
        super().__init__(*args, **kwargs)


class ProvenForm(StepForm):
    """A confirmation with a second factor, for those who did not prove it just before."""

    code = forms.CharField(
        label=_("Code of your authenticator"),
        max_length=64,
        required=False,
        help_text=_("For many tokens, unless you proved it in the last minutes."),
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "text"}
        ),
    )


class RetryForm(ProvenForm):
    """How to retry."""

    field_order = ["mode", "code"]

    mode = forms.ChoiceField(
        label=_("Mode"),
        choices=MODES,
        required=False,
        help_text=_("That of the batch, when left empty."),
        widget=UnfoldAdminSelectWidget,
    )


class ReasonForm(ProvenForm):
    """What every batch says about itself."""

    mode = forms.ChoiceField(label=_("Mode"), choices=MODES, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(label=_("Reason"), max_length=255, widget=UnfoldAdminTextInputWidget)
    operator = forms.CharField(
        label=_("Operator label"),
        max_length=128,
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    dry_run = forms.BooleanField(
        label=_("Only show what would happen"),
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"key": uuid.uuid4().hex, "dry_run": True})
        super().__init__(*args, **kwargs)


class ReversalForm(ReasonForm):
    """What to take back."""

    field_order = ["rows", "policy", "mode", "reason", "operator", "dry_run", "code"]

    policy = forms.ChoiceField(
        label=_("Where tokens were used"),
        choices=[
            (policy.value, RechargeBatch.ReversalPolicy[policy.name].label)
            for policy in ReversalPolicy
        ],
        widget=UnfoldAdminSelectWidget,
    )
    rows = forms.RegexField(
        label=_("Rows"),
        regex=r"^[0-9]{1,7}(\s*,\s*[0-9]{1,7})*$",
        required=False,
        max_length=2_000,
        help_text=_("Row numbers with commas; all applied rows, when left empty."),
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, rows: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["rows"] = rows

    def chosen(self) -> tuple[int, ...] | None:
        """Rows that were chosen before the form was sent; None for all."""
        rows = str(self.initial["rows"])
        return tuple(int(row) for row in rows.split(",")) if rows else None

    def order(self) -> ReversalOrder:
        """The cleaned form as a value of the tokens app."""
        data = self.cleaned_data
        rows = sorted({int(row) for row in data["rows"].split(",")}) if data["rows"] else None
        return ReversalOrder(
            mode=RechargeMode(data["mode"]),
            policy=ReversalPolicy(data["policy"]),
            reason=data["reason"],
            operator=data["operator"],
            row_nos=None if rows is None else tuple(rows),
        )
