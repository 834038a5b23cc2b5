"""Filters of the finance pages, and the forms on which people settle breaks and close months."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import selectors as accounts_selectors
from accounts.errors import UserNotFoundError
from tokens import exports
from tokens.books import Basis
from tokens.exports import ExportRequest
from tokens.models import Book, ExportJob
from tokens.report_selectors import SpentFilter
from tokens.types import Operation

DAYS_MAX = 366
REASON_LENGTH_MAX = 255


def date_field(label: Any) -> forms.DateField:
    """A day in UTC, written or picked."""
    return forms.DateField(
        label=label, widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}), localize=False
    )


class RangeForm(forms.Form):
    """Days of UTC, both included; the last two weeks unless chosen."""

    days_default = 14
    first = date_field(_("First day"))
    last = date_field(_("Last day"))

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        today = timezone.now().astimezone(dt.UTC).date()
        given = {
            "first": (today - dt.timedelta(days=self.days_default - 1)).isoformat(),
            "last": today.isoformat(),
            **{name: value for name, value in (data or {}).items() if value},
        }
        super().__init__(given, **kwargs)

    def clean(self) -> dict[str, Any]:
        """Days in order, and not too many for a page."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        first, last = cleaned.get("first"), cleaned.get("last")
        if first is None or last is None:
            return cleaned
        if last < first:
            raise ValidationError({"last": _("The range ends before it starts.")})
        if (last - first).days >= DAYS_MAX:
            raise ValidationError(
                {
                    "first": _("A page shows at most %(days)d days; export more.")
                    % {"days": DAYS_MAX}
                }
            )
        return cleaned


class AccountFieldMixin(forms.Form):
    """Perhaps one account, by its user_ref."""

    user = forms.CharField(
        label=_("Account"),
        max_length=64,
        required=False,
        help_text=_("The user_ref of one account; everybody's, when left empty."),
        widget=UnfoldAdminTextInputWidget,
    )
    owner_id: int | None = None

    def clean_user(self) -> str:
        """An account that exists, active or not."""
        user_ref = str(self.cleaned_data["user"]).strip()
        if user_ref:
            try:
                self.owner_id = accounts_selectors.user_by_ref(user_ref=user_ref).pk
            except UserNotFoundError as error:
                raise ValidationError(str(error)) from error
        return user_ref


class ReconciliationForm(RangeForm):
    """Which days, and whose tokens."""

    book = forms.ChoiceField(
        label=_("Book"), choices=Book.choices, required=False, widget=UnfoldAdminSelectWidget
    )

    def wanted_book(self) -> Book:
        """People's by default."""
        return Book(self.cleaned_data["book"] or Book.LIVE)


class LiabilityForm(forms.Form):
    """Whose tokens."""

    book = forms.ChoiceField(label=_("Book"), choices=Book.choices, widget=UnfoldAdminSelectWidget)


class ConsumptionForm(AccountFieldMixin, RangeForm):
    """Which consumption."""

    field_order = ["first", "last", "user", "operation"]
    operation = forms.ChoiceField(
        label=_("Operation"),
        choices=[("", _("All")), *((it.value, it.value) for it in Operation)],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )

    def wanted(self) -> SpentFilter:
        """The cleaned form as a filter."""
        data = self.cleaned_data
        return SpentFilter(data["first"], data["last"], self.owner_id, data["operation"])


class ExportOrderForm(AccountFieldMixin, RangeForm):
    """Which file a worker writes; of this month unless chosen."""

    field_order = ["name", "file_format", "first", "last", "user", "basis"]
    days_default = 31
    name = forms.ChoiceField(
        label=_("Export"),
        choices=[(name, name) for name in exports.NAMES],
        widget=UnfoldAdminSelectWidget,
    )
    file_format = forms.ChoiceField(
        label=_("Format"), choices=ExportJob.Format.choices, widget=UnfoldAdminSelectWidget
    )
    basis = forms.ChoiceField(
        label=_("Time that counts"),
        choices=[
            (Basis.RECORDED.value, _("When it was written")),
            (Basis.EFFECTIVE.value, _("When it takes effect")),
        ],
        widget=UnfoldAdminSelectWidget,
    )

    def request(self) -> ExportRequest:
        """The cleaned form as what to export."""
        data = self.cleaned_data
        return ExportRequest(
            data["name"], data["first"], data["last"], Basis(data["basis"]), self.owner_id
        )


class LookIntoForm(forms.Form):
    """What is known so far."""

    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=4_000,
        help_text=_("What you found so far; whoever looks next reads it."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
    )


class ReasonForm(forms.Form):
    """Why; kept in the audit trail."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LENGTH_MAX,
        help_text=_("Kept in the audit trail."),
        widget=UnfoldAdminTextInputWidget,
    )


class FactorForm(forms.Form):
    """A code of the authenticator, where the session has not proven one lately."""

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


class ReopenMonthForm(FactorForm, ReasonForm):
    """Opening a month again needs words."""

    field_order = ["reason", "code"]
