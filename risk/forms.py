"""Forms of the console of the risk engine."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from risk.models.decisions import REASON_LENGTH_MAX, TEXT_LENGTH_MAX
from risk.types import Verdict


class ConfirmForm(forms.Form):
    """Nothing but the button."""


class DaysForm(forms.Form):
    """How much of history to look at."""

    days = forms.IntegerField(
        label=_("Days"),
        min_value=1,
        required=False,
        help_text=_("All that is kept, when left empty."),
        widget=UnfoldAdminIntegerFieldWidget,
    )


class ReasonForm(forms.Form):
    """Why, and what it was found to be."""

    verdict = forms.ChoiceField(
        label=_("What it was"), choices=Verdict.choices, widget=UnfoldAdminSelectWidget
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LENGTH_MAX,
        help_text=_("For staff; kept in the audit trail."),
        widget=UnfoldAdminTextInputWidget,
    )


class AnswerForm(forms.Form):
    """The answer to an appeal."""

    is_granted = forms.ChoiceField(
        label=_("Answer"),
        choices=[("no", _("Reject it: the decision stays")), ("yes", _("Grant it: lift it"))],
        widget=UnfoldAdminSelectWidget,
    )
    text = forms.CharField(
        label=_("Words"),
        max_length=TEXT_LENGTH_MAX,
        help_text=_("What the account is told."),
        widget=UnfoldAdminTextareaWidget,
    )
