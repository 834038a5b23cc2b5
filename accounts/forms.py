"""Forms of the accounts console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.models import User
from accounts.types import ROLE_SCOPES, KeyLimits, Role, Scope


class IssueKeyForm(forms.Form):
    """Offers the scopes of the user's role; the service checks them again."""

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        help_text=_("What the key is for, for example “shop backend”."),
        widget=UnfoldAdminTextInputWidget,
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), widget=UnfoldAdminCheckboxSelectMultipleWidget
    )
    days = forms.IntegerField(
        label=_("Days until it expires"),
        min_value=1,
        max_value=3650,
        required=False,
        help_text=_("Never, when left empty."),
        widget=UnfoldAdminIntegerFieldWidget,
    )

    is_test = forms.BooleanField(
        label=_("Test key"),
        required=False,
        help_text=_("Acts as the account's sandbox, with tokens of its own that are free."),
        widget=UnfoldBooleanSwitchWidget,
    )
    allowed_networks = forms.CharField(
        label=_("Networks"),
        required=False,
        help_text=_("In CIDR notation, separated by blanks; from anywhere when empty."),
        widget=UnfoldAdminTextInputWidget,
    )
    daily_token_budget = forms.IntegerField(
        label=_("Tokens a day"),
        min_value=0,
        max_value=2**63 - 1,
        required=False,
        help_text=_("What jobs of the key may set aside in one day of UTC; no limit when empty."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    requests_per_minute = forms.IntegerField(
        label=_("Requests a minute"),
        min_value=1,
        max_value=2**31 - 1,
        required=False,
        help_text=_("The limits of the account alone when empty."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    requires_signature = forms.BooleanField(
        label=_("Requests that move tokens must be signed"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = ROLE_SCOPES[Role(user.role)]
        field = self.fields["scopes"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(s.value, f"{s.value} · {s.label}") for s in Scope if s in allowed]

    def request(self) -> dict[str, Any]:
        """The cleaned form as arguments of ``services.issue_api_key``."""
        days = self.cleaned_data["days"]
        return {
            "name": self.cleaned_data["name"],
            "scopes": self.cleaned_data["scopes"],
            "expires_at": timezone.now() + timedelta(days=days) if days else None,
            "is_test": self.cleaned_data["is_test"],
            "limits": KeyLimits(
                allowed_networks=tuple(self.cleaned_data["allowed_networks"].split()),
                daily_token_budget=self.cleaned_data["daily_token_budget"],
                requests_per_minute=self.cleaned_data["requests_per_minute"],
                requires_signature=self.cleaned_data["requires_signature"],
            ),
        }
