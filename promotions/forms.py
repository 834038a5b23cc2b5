"""Forms of the console of promotions."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminIntegerFieldWidget

from promotions.models import RewardRule
from promotions.types import Window, WindowKind, window_of


class ConfirmForm(forms.Form):
    """Nothing but the button."""


class LimitForm(forms.Form):
    """How much of it to do."""

    limit = forms.IntegerField(
        label=_("At most so many accounts"),
        min_value=1,
        required=False,
        help_text=_("The oldest first; all of them, when left empty."),
        widget=UnfoldAdminIntegerFieldWidget,
    )


class WindowForm(LimitForm):
    """Which window of a rule."""

    field_order = ["day", "limit"]
    day = forms.DateField(
        label=_("A day of the window"),
        required=False,
        help_text=_("The last window that is over, when left empty."),
        widget=UnfoldAdminDateWidget,
    )

    def window(self, rule: RewardRule) -> Window:
        """The window that was asked for."""
        kind = WindowKind(rule.window)
        day: dt.date | None = self.cleaned_data["day"]
        if day is None:
            today = timezone.now().astimezone(ZoneInfo(settings.GRANT_TIME_ZONE)).date()
            day = window_of(kind, today).first - dt.timedelta(days=1)
        return window_of(kind, day)
