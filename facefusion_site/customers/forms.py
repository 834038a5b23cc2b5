"""Forms of a customer's page."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.freeze_types import AppealState, FreezeCode, FreezeGrounds, FreezeKind

MOMENT_FORMATS: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
_REASON_LENGTH_MAX: Final = 255
_INT_MAX: Final = 2**62


def moment_field(**options: Any) -> forms.DateTimeField:
    """A moment of UTC, chosen with the browser's own calendar."""
    widget = UnfoldAdminTextInputWidget(attrs={"type": "datetime-local", "step": "60"})
    return forms.DateTimeField(input_formats=MOMENT_FORMATS, widget=widget, **options)


class MomentForm(forms.Form):
    """Of which moment the balance is wanted."""

    at = moment_field(label=_("Moment (UTC)"))


class ReasonForm(forms.Form):
    """Why; and a code of the authenticator where a proof is needed and there is none."""

    field_order = ["state", "kind", "code", "amount", "reason", "expires_at", "notice", "evidence"]
    reason = forms.CharField(
        label=_("Reason"),
        max_length=_REASON_LENGTH_MAX,
        help_text=_("For staff; kept in the audit trail."),
        widget=UnfoldAdminTextInputWidget,
    )
    proof = forms.CharField(
        label=_("Authenticator code"),
        max_length=64,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}
        ),
    )

    def __init__(self, *args: Any, needs_proof: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not needs_proof:
            del self.fields["proof"]


class FreezeForm(ReasonForm):
    """What is frozen, why, and until when."""

    kind = forms.ChoiceField(
        label=_("What is frozen"), choices=FreezeKind.choices, widget=UnfoldAdminSelectWidget
    )
    code = forms.ChoiceField(
        label=_("Kind of reason"), choices=FreezeCode.choices, widget=UnfoldAdminSelectWidget
    )
    expires_at = moment_field(
        label=_("Ends by itself at (UTC)"),
        required=False,
        help_text=_("Not before it is lifted, when left empty."),
    )
    notice = forms.CharField(
        label=_("Notice"),
        max_length=500,
        required=False,
        help_text=_("What the account is told."),
        widget=UnfoldAdminTextInputWidget,
    )
    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=2000,
        required=False,
        help_text=_("What led to it, for staff."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )

    def grounds(self) -> FreezeGrounds:
        """The texts as a value of the accounts app."""
        data = self.cleaned_data
        return FreezeGrounds(
            code=FreezeCode(data["code"]),
            reason=data["reason"],
            evidence=data["evidence"],
            notice=data["notice"],
        )

    def until(self) -> dt.datetime | None:
        """When it ends by itself."""
        moment: dt.datetime | None = self.cleaned_data["expires_at"]
        return moment


class AppealForm(ReasonForm):
    """Where the appeal of the account stands."""

    state = forms.ChoiceField(
        label=_("Appeal"),
        choices=[choice for choice in AppealState.choices if choice[0] != AppealState.NONE],
        widget=UnfoldAdminSelectWidget,
    )


class RefundForm(ReasonForm):
    """How many of a job's tokens are given back."""

    amount = forms.IntegerField(
        label=_("Tokens"),
        min_value=1,
        max_value=_INT_MAX,
        help_text=_("At most what the job was charged; a job is refunded once."),
        widget=UnfoldAdminIntegerFieldWidget,
    )


class NoteForm(forms.Form):
    """What the next one should know."""

    text = forms.CharField(
        label=_("Note"),
        max_length=4000,
        help_text=_("For staff only. Notes are kept for good and cannot be changed."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
