"""A picture of prices over time: the multiplier above, what people waited below. Plain SVG.

It says everything in words too (``title`` and ``desc``), needs no script, and takes its colours
from the page where that has some (``currentColor``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from django.utils.translation import gettext as _

from tokens.price_types import ORDINARY_BP, Curve, PricePoint

_WIDTH: Final = 860
_LEFT: Final = 64
_RIGHT: Final = 16
_PRICE_TOP: Final = 40
_PRICE_HEIGHT: Final = 180
_WAIT_TOP: Final = 270
_WAIT_HEIGHT: Final = 110
_HEIGHT: Final = 420
# More points than columns of pixels say nothing more.
_POINTS_MAX: Final = _WIDTH - _LEFT - _RIGHT
_PRICE_COLOUR: Final = "#078b76"
_WAIT_COLOUR: Final = "#b45309"


@dataclass(frozen=True, slots=True)
class _Scale:
    """From moments and values to places in the picture."""

    start: dt.datetime
    seconds: float
    top: float
    height: float
    low: float
    high: float

    def x(self, at: dt.datetime) -> float:
        share = (at - self.start).total_seconds() / self.seconds
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.top + self.height * (1 - min(max(share, 0.0), 1.0))


def draw(*, points: Sequence[PricePoint], curve: Curve, title: str) -> str:
    """Draw points in the order of their moments; where no time passes, an empty text."""
    if not points or points[0].at >= points[-1].at:
        return ""
    shown = _thinned(points)
    start, end = shown[0].at, shown[-1].at
    seconds = (end - start).total_seconds()
    wait_max = max(60, *(point.load.oldest_wait_s for point in shown))
    low_bp = min(curve.floor_bp, ORDINARY_BP - 1_000)
    high_bp = max(curve.cap_bp, ORDINARY_BP + 1_000)
    price = _Scale(start, seconds, _PRICE_TOP, _PRICE_HEIGHT, low_bp, high_bp)
    wait = _Scale(start, seconds, _WAIT_TOP, _WAIT_HEIGHT, 0, wait_max)
    parts = [
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(summary(points))}</desc>",
        _text(_LEFT, 24, _("Price in percent of the ordinary one"), size=13),
        *_days(price),
        *(
            _level(price, bp, _percent(bp))
            for bp in sorted({curve.floor_bp, ORDINARY_BP, curve.cap_bp})
        ),
        _steps(shown, price),
        _text(_LEFT, _WAIT_TOP - 14, _("Longest wait in minutes"), size=13),
        *(_level(wait, s, f"{s / 60:.0f}") for s in (0, wait_max)),
        _area(shown, wait),
    ]
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" fill="currentColor">\n'
        f"{body}\n</svg>\n"
    )


def summary(points: Sequence[PricePoint]) -> str:
    """What the picture shows, in words."""
    highest = max(points, key=lambda point: point.step.multiplier_bp)
    lowest = min(points, key=lambda point: point.step.multiplier_bp)
    raised = sum(point.step.multiplier_bp > ORDINARY_BP for point in points)
    return _(
        "From %(start)s to %(end)s UTC the price was between %(low)s and %(high)s of the ordinary "
        "one, highest at %(peak)s. It was raised for %(share)d percent of the time. The longest "
        "wait was %(wait)d minutes."
    ) % {
        "start": f"{points[0].at:%Y-%m-%d %H:%M}",
        "end": f"{points[-1].at:%Y-%m-%d %H:%M}",
        "low": _percent(lowest.step.multiplier_bp),
        "high": _percent(highest.step.multiplier_bp),
        "peak": f"{highest.at:%Y-%m-%d %H:%M}",
        "share": round(100 * raised / len(points)),
        "wait": max(point.load.oldest_wait_s for point in points) // 60,
    }


def _thinned(points: Sequence[PricePoint]) -> list[PricePoint]:
    """At most one point for each column; of those, the one with the highest price and wait."""
    size = -(-len(points) // _POINTS_MAX)
    chunks = [points[first : first + size] for first in range(0, len(points), size)]
    kept = [
        max(chunk, key=lambda point: (point.step.multiplier_bp, point.load.oldest_wait_s))
        for chunk in chunks
    ]
    return [points[0], *kept[1:-1], points[-1]]


def _percent(bp: int) -> str:
    return f"{bp // 100} %"


def _text(x: float, y: float, text: str, *, size: int, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, *, opacity: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" '
        f'stroke-opacity="{opacity}"/>'
    )


def _level(scale: _Scale, value: float, label: str) -> str:
    y = scale.y(value)
    line = _line(_LEFT, y, _WIDTH - _RIGHT, y, opacity=0.25)
    return line + _text(_LEFT - 8, y + 4, label, size=12, anchor="end")


def _days(scale: _Scale) -> list[str]:
    """A line at each midnight of UTC, with its day; and when the picture begins and ends."""
    end = scale.start + dt.timedelta(seconds=scale.seconds)
    day = scale.start.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    marks = [
        _text(scale.x(at), _HEIGHT - 2, f"{at:%m-%d %H:%M} UTC", size=12, anchor=anchor)
        for at, anchor in ((scale.start, "start"), (end, "end"))
    ]
    while day <= end:
        if day >= scale.start:
            x = scale.x(day)
            marks.append(_line(x, _PRICE_TOP, x, _WAIT_TOP + _WAIT_HEIGHT, opacity=0.12))
            marks.append(_text(x + 4, _HEIGHT - 18, f"{day:%m-%d}", size=12))
        day += dt.timedelta(days=1)
    return marks


def _steps(points: Sequence[PricePoint], scale: _Scale) -> str:
    """The price stays until it changes, so its line has corners and no slopes."""
    first, *rest = points
    path = f"M{scale.x(first.at):.1f} {scale.y(first.step.multiplier_bp):.1f}" + "".join(
        f"H{scale.x(point.at):.1f}V{scale.y(point.step.multiplier_bp):.1f}" for point in rest
    )
    return f'<path d="{path}" fill="none" stroke="{_PRICE_COLOUR}" stroke-width="2"/>'


def _area(points: Sequence[PricePoint], scale: _Scale) -> str:
    ground = scale.y(0)
    line = "".join(
        f"L{scale.x(point.at):.1f} {scale.y(point.load.oldest_wait_s):.1f}" for point in points
    )
    return (
        f'<path d="M{scale.x(points[0].at):.1f} {ground:.1f}{line}'
        f'L{scale.x(points[-1].at):.1f} {ground:.1f}Z" fill="{_WAIT_COLOUR}" fill-opacity="0.35" '
        f'stroke="{_WAIT_COLOUR}"/>'
    )
