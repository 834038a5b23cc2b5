"""Forms of rate cards: propose one, try it, and switch prices off."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.types import Plan
from tokens.price_types import DEFAULT_PLAN, Curve, OffPeak, PriceCard, RateCardDraft
from tokens.rate_card_checks import NOTE_MAX
from tokens.types import Operation

_BP: Final = 100
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)")
_WEEKDAYS: Final = [
    ("0", _("Monday")),
    ("1", _("Tuesday")),
    ("2", _("Wednesday")),
    ("3", _("Thursday")),
    ("4", _("Friday")),
    ("5", _("Saturday")),
    ("6", _("Sunday")),
]
_OPERATION_TEXTS: Final = {
    Operation.IMAGE_SWAP: _("Tokens a picture"),
    Operation.VIDEO_SWAP: _("Tokens a started second of video"),
}


def price_name(operation: Operation, plan: str) -> str:
    """The name of the field for one price."""
    return f"{operation.value}_{plan}"


class RateCardForm(forms.Form):
    """A rate card to be previewed or proposed. It starts as the card in force."""

    note = forms.CharField(
        label=_("What is new, and why"), max_length=NOTE_MAX, widget=UnfoldAdminTextInputWidget
    )
    floor = forms.IntegerField(
        label=_("Floor in percent"),
        help_text=_("What quiet hours cost of the ordinary price while nobody waits."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    cap = forms.IntegerField(
        label=_("Cap in percent"),
        help_text=_("What no load lifts the price above. 100: prices do not follow the load."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    calm_wait_s = forms.IntegerField(
        label=_("Calm wait in seconds"),
        help_text=_("Waiting up to this long changes nothing."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    full_wait_s = forms.IntegerField(
        label=_("Full wait in seconds"),
        help_text=_("Waiting this long is full pressure."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    smoothing_s = forms.IntegerField(
        label=_("Smoothing in seconds"),
        help_text=_("How slowly the price follows the load."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    step = forms.IntegerField(
        label=_("Step in percent"),
        help_text=_("The price stays where it is until it would move by this much."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    time_zone = forms.CharField(
        label=_("Time zone of the quiet hours"),
        max_length=64,
        help_text=_("A name of the IANA database, such as Asia/Shanghai."),
        widget=UnfoldAdminTextInputWidget,
    )
    hours = forms.CharField(
        label=_("Quiet hours"),
        required=False,
        help_text=_("Such as 22:00-06:00; several are separated by commas. Empty for none."),
        widget=UnfoldAdminTextInputWidget,
    )
    weekdays = forms.MultipleChoiceField(
        label=_("Weekdays on which quiet hours start"),
        choices=_WEEKDAYS,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    wanted_from = forms.DateTimeField(
        label=_("In force from (UTC)"),
        required=False,
        help_text=_("YYYY-MM-DD HH:MM. Empty: as soon as it is published."),
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, card: PriceCard, **kwargs: Any) -> None:
        kwargs.setdefault("initial", _initial(card))
        super().__init__(*args, **kwargs)
        for operation, text in _OPERATION_TEXTS.items():
            for plan in (DEFAULT_PLAN, *Plan.values):
                is_default = plan == DEFAULT_PLAN
                name = _("all other plans") if is_default else Plan(plan).label
                self.fields[price_name(operation, plan)] = forms.IntegerField(
                    label=f"{text}: {name}",
                    required=is_default,
                    widget=UnfoldAdminIntegerFieldWidget,
                )
        first = ["note", *(name for name in self.fields if "_swap_" in name)]
        self.order_fields(first)

    def clean_hours(self) -> list[tuple[int, int]]:
        """Minutes from midnight."""
        windows = []
        for part in filter(None, (part.strip() for part in self.cleaned_data["hours"].split(","))):
            match = _HOURS.fullmatch(part)
            if match is None:
                raise ValidationError(_("Write quiet hours like 22:00-06:00."))
            start_h, start_m, end_h, end_m = map(int, match.groups())
            windows.append((start_h * 60 + start_m, end_h * 60 + end_m))
        return windows

    def draft(self) -> RateCardDraft:
        """The cleaned form as a value of the app."""
        data = self.cleaned_data
        weekdays = tuple(sorted(int(day) for day in data["weekdays"]))
        prices: dict[str, dict[str, int]] = {}
        for operation in Operation:
            given = {
                plan: data[price_name(operation, plan)] for plan in (DEFAULT_PLAN, *Plan.values)
            }
            prices[operation.value] = {
                plan: tokens for plan, tokens in given.items() if tokens is not None
            }
        wanted_from: dt.datetime | None = data["wanted_from"]
        return RateCardDraft(
            note=data["note"].strip(),
            prices=prices,
            curve=Curve(
                floor_bp=data["floor"] * _BP,
                cap_bp=data["cap"] * _BP,
                calm_wait_s=data["calm_wait_s"],
                full_wait_s=data["full_wait_s"],
                smoothing_s=data["smoothing_s"],
                step_bp=data["step"] * _BP,
                time_zone=data["time_zone"],
                off_peak=tuple(OffPeak(start, end, weekdays) for start, end in data["hours"]),
            ),
            wanted_from=wanted_from,
        )


class CodeForm(forms.Form):
    """A code of the authenticator, where none was proven in the last minutes."""

    code = forms.CharField(
        label=_("Code of your authenticator"),
        max_length=64,
        required=False,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "text"}
        ),
    )


class TrialForm(forms.Form):
    """The share of accounts with which a card is tried."""

    percent = forms.IntegerField(
        label=_("Share of accounts in percent"),
        min_value=0,
        max_value=100,
        help_text=_("Their quotes also keep what this card would charge. 0 ends the trial."),
        widget=UnfoldAdminIntegerFieldWidget,
    )


class StopForm(forms.Form):
    """The kill switch."""

    reason = forms.CharField(label=_("Reason"), max_length=200, widget=UnfoldAdminTextInputWidget)


def clock(minute: int) -> str:
    """HH:MM of minutes from midnight."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _initial(card: PriceCard) -> dict[str, Any]:
    curve = card.curve
    days = {day for hours in curve.off_peak for day in hours.weekdays} or set(range(7))
    return {
        **{
            price_name(operation, plan): tokens
            for operation in Operation
            for plan, tokens in card.prices[operation.value].items()
        },
        "floor": curve.floor_bp // _BP,
        "cap": curve.cap_bp // _BP,
        "calm_wait_s": curve.calm_wait_s,
        "full_wait_s": curve.full_wait_s,
        "smoothing_s": curve.smoothing_s,
        "step": curve.step_bp // _BP,
        "time_zone": timezone.get_default_timezone_name()
        if not curve.off_peak
        else curve.time_zone,
        "hours": ", ".join(
            f"{clock(hours.start_minute)}-{clock(hours.end_minute)}" for hours in curve.off_peak
        ),
        "weekdays": [str(day) for day in sorted(days)],
    }
