"""Forms of the console and of the public pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from trust.types import NOTE_LENGTH_MAX, STATEMENT_LENGTH_MAX, TakedownReason


class RejectForm(forms.Form):
    """Why a report is not followed."""

    note = forms.CharField(
        label=_("Answer to the reporter"),
        max_length=NOTE_LENGTH_MAX,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )


class UpholdForm(RejectForm):
    """What is blocked, and what the reporter is told."""

    sha256s = forms.CharField(
        label=_("SHA-256 of the files, one a line"),
        help_text=_(
            "Uploads and results with one of them are deleted at once, whoever has them, and none "
            "is let in again. The page of a job or an upload shows its digests."
        ),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
    field_order = ("sha256s", "note")


class TakedownForm(forms.Form):
    """A report by anybody."""

    reason = forms.ChoiceField(
        label=_("What is wrong?"), choices=TakedownReason.choices, widget=forms.RadioSelect
    )
    link = forms.CharField(
        label=_("Address of the picture or video"),
        max_length=2000,
        required=False,
        widget=forms.URLInput(attrs={"class": "input", "placeholder": "https://"}),
    )
    file = forms.FileField(
        label=_("Or a copy of it"),
        required=False,
        help_text=_("It is turned into a fingerprint and thrown away; nobody looks at it."),
    )
    sha256 = forms.CharField(
        label=_("Or its SHA-256"),
        max_length=64,
        required=False,
        widget=forms.TextInput(
            attrs={"class": "input", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    statement = forms.CharField(
        label=_("What is it, and how do you know?"),
        max_length=STATEMENT_LENGTH_MAX,
        widget=forms.Textarea(attrs={"class": "input", "rows": 5}),
    )
    contact = forms.EmailField(
        label=_("Your e-mail address"),
        max_length=254,
        help_text=_("For our answer, and for nothing else."),
        widget=forms.EmailInput(attrs={"class": "input", "autocomplete": "email"}),
    )


class AttestForm(forms.Form):
    """A person's word for her own face."""

    is_true = forms.BooleanField(label=_("This is true, and I agree."))
