"""Forms for people."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from accounts import freeze_selectors
from accounts.freeze_types import FreezeKind
from accounts.models import User


class SignInForm(AuthenticationForm):
    """User name and password; a refused form points its fields at the message."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"
            if self.is_bound:
                field.widget.attrs["aria-describedby"] = "sign-in-errors"

    def confirm_login_allowed(self, user: Any) -> None:
        """The password was right; a frozen account is told what it was told, and what to do."""
        super().confirm_login_allowed(user)
        if isinstance(user, User) and freeze_selectors.is_frozen(user=user, kind=FreezeKind.LOGIN):
            refusal = freeze_selectors.refusal(user=user, kind=FreezeKind.LOGIN)
            raise ValidationError([str(refusal), str(refusal.next_step)], code=refusal.code)
