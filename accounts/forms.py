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
)

from accounts.models import User
from accounts.types import ROLE_SCOPES, Role, Scope


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
        }
