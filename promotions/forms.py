"""Forms of the console of promotions."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
)

from promotions.models import RewardRule
from promotions.types import Window, WindowKind, window_of

# Numbers may be parted as a Chinese keyboard does it.
_GAP = r"[\s,;\uff0c\u3001\uff1b]+"
_TIER = re.compile(_GAP.join([r"(\d{1,10})"] * 3), re.ASCII)


class TiersField(forms.CharField):
    """Tiers of a reward as people write them: three numbers a line."""

    widget = UnfoldAdminTextareaWidget

    def prepare_value(self, value: Any) -> Any:
        """Tiers as lines; what a person wrote stays as it is."""
        if not isinstance(value, list):
            return value
        return "\n".join(f"{tier['from']}, {tier['per']}, {tier['tokens']}" for tier in value)

    def to_python(self, value: Any) -> Any:
        """A list as ``RewardRule.tiers`` wants it.

        Raises:
            ValidationError: a line is not three whole numbers.
        """
        tiers = []
        for line_no, line in enumerate(str(super().to_python(value) or "").splitlines(), start=1):
            if not line.strip():
                continue
            found = _TIER.fullmatch(line.strip())
            if found is None:
                raise ValidationError(
                    _("Line %(line)d is not three whole numbers."),
                    code="tiers",
                    params={"line": line_no},
                )
            begins, per, tokens = map(int, found.groups())
            tiers.append({"from": begins, "per": per, "tokens": tokens})
        return tiers


class RewardRuleForm(forms.ModelForm[RewardRule]):
    """A new rule of rewards."""

    tiers = TiersField(
        label=_("Tiers"),
        help_text=_(
            "A line for each tier: from, per, tokens. “10, 5, 1” gives 1 token for every full 5 "
            "units to who reaches 10. The highest tier that is reached counts for all units."
        ),
    )


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
