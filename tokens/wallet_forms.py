"""Forms of the console's wallet pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from tokens.forms import StepForm
from tokens.services.adjustments import REASON_LENGTH_MAX


class WalletStepForm(StepForm):
    """Why, and a code of the authenticator where the session has not proven one lately."""

    field_order = ["amount", "writes_off", "reason", "code", "dry_run"]
    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LENGTH_MAX,
        help_text=_("Kept in the audit trail."),
        widget=UnfoldAdminTextInputWidget,
    )
    code = forms.CharField(
        label=_("Authenticator code"),
        max_length=64,
        required=False,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}
        ),
    )

    def __init__(self, *args: Any, is_proven: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_proven:
            del self.fields["code"]
        else:
            self.fields["code"].help_text = _(
                "Needed above %(max)d tokens, and for whatever moves tokens."
            ) % {"max": settings.RECHARGE_STEP_UP_TOKENS}


class CloseForm(WalletStepForm):
    """Closing is final."""

    writes_off = forms.BooleanField(
        label=_("Write off what is left"),
        required=False,
        help_text=_("Takes all free tokens away; held ones keep the wallet open."),
        widget=UnfoldBooleanSwitchWidget,
    )


class AdjustForm(WalletStepForm):
    """A correction; by default only to see what it would do."""

    amount = forms.IntegerField(
        label=_("Tokens"),
        min_value=-(2**62),
        max_value=2**62,
        help_text=_("Above zero gives, below zero takes."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    dry_run = forms.BooleanField(
        label=_("Only show what would happen"),
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
    )
