"""The form on which somebody chooses a month to export."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import selectors as accounts_selectors
from accounts.errors import UserNotFoundError
from tokens.books import Basis

MONTH_PATTERN = re.compile(r"(?!0000)[0-9]{4}-(0[1-9]|1[0-2])")


class ExportForm(forms.Form):
    """A month in UTC, whose account, and which of the two times of a transfer counts."""

    month = forms.CharField(
        label=_("Month"),
        help_text=_("YYYY-MM; days are those of UTC."),
        widget=UnfoldAdminTextInputWidget(attrs={"type": "month", "placeholder": "2026-11"}),
    )
    user = forms.CharField(
        label=_("Account"),
        max_length=64,
        required=False,
        help_text=_("The user_ref of one account; everybody's, when left empty."),
        widget=UnfoldAdminTextInputWidget,
    )
    basis = forms.ChoiceField(
        label=_("Time that counts"),
        choices=[
            (Basis.RECORDED.value, _("When it was written")),
            (Basis.EFFECTIVE.value, _("When it takes effect")),
        ],
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"month": f"{timezone.now():%Y-%m}"})
        super().__init__(*args, **kwargs)

    def clean_month(self) -> str:
        """A browser without a month picker lets people type."""
        month = str(self.cleaned_data["month"])
        if not MONTH_PATTERN.fullmatch(month):
            raise ValidationError(_("Write the month as YYYY-MM."))
        return month

    def clean_user(self) -> str:
        """An account that exists, active or not."""
        user_ref = str(self.cleaned_data["user"])
        if user_ref:
            try:
                accounts_selectors.user_by_ref(user_ref=user_ref)
            except UserNotFoundError as error:
                raise ValidationError(str(error)) from error
        return user_ref

    def query(self) -> dict[str, str]:
        """The cleaned form as the query of an export."""
        return {name: value for name, value in self.cleaned_data.items() if value}
