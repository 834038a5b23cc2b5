"""Replay past load through the controller of the price. Writes nothing but the files asked for."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from facefusion_site.common.errors import DomainError
from inference import load_selectors
from tokens import price_selectors
from tokens import services as tokens_services
from tokens.price_types import ORDINARY_BP, Curve, Load, PricePoint

_DAYS_MAX: Final = 366
_IN: Final = ("at", "oldest_wait_s", "waiting_count", "running_count", "utilisation_percent")
_OUT: Final = (*_IN, "pressure_ppm", "smoothed_ppm", "target_bp", "multiplier_bp", "reason")


class Command(BaseCommand):
    """Show what prices would have been."""

    help = (
        "Replay the load of the last days through a rate card's curve, from the rows of jobs or "
        f"from a CSV file with the columns {', '.join(_IN)}."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose load, which card, and what to write."""
        parser.add_argument("--days", type=int, default=7, help="of the past, up to now")
        parser.add_argument("--csv", type=Path, help="take the load from this file")
        parser.add_argument("--card", type=int, help="version; by default the card in force")
        parser.add_argument("--cap", type=int, help="another cap, in percent")
        parser.add_argument("--floor", type=int, help="another floor, in percent")
        parser.add_argument("--out", type=Path, help="write each minute to this CSV file")
        parser.add_argument("--svg", type=Path, help="write a picture to this file")
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Replay, then tell."""
        curve = _curve(options)
        if options["csv"] is None:
            if not 1 <= options["days"] <= _DAYS_MAX:
                raise CommandError(f"--days is 1 to {_DAYS_MAX}.")
            until = timezone.now().replace(second=0, microsecond=0)
            since = until - dt.timedelta(days=options["days"])
            loads = load_selectors.past_load(since=since, until=until)
        else:
            loads = iter(_read(options["csv"]))
        points = tokens_services.simulate_prices(loads=loads, curve=curve)
        if not points:
            raise CommandError("There is no load to replay.")
        if options["out"] is not None:
            with options["out"].open("w", newline="", encoding="utf-8") as file:
                _write(points, file)
        if options["svg"] is not None:
            picture = tokens_services.draw_prices(
                points=points, curve=curve, title="A week of prices"
            )
            options["svg"].write_text(picture, encoding="utf-8")
        if options["json"]:
            self.stdout.write(json.dumps(_summary(points)))
            return
        self.stdout.write("day         lowest  highest  average  raised  longest wait")
        for day, group in groupby(points, key=lambda point: f"{point.at:%Y-%m-%d}"):
            told = _summary(list(group))
            self.stdout.write(
                f"{day}  {told['lowest']:6.2f}  {told['highest']:7.2f}  {told['average']:7.2f}"
                f"  {told['raised_percent']:5d}%  {told['longest_wait_s']:9d} s"
            )


def _curve(options: dict[str, Any]) -> Curve:
    try:
        card = (
            price_selectors.in_force().card
            if options["card"] is None
            else price_selectors.card_of_version(version=options["card"])
        )
    except DomainError as error:
        raise CommandError(str(error)) from error
    changes = {
        f"{name}_bp": options[name] * 100 for name in ("cap", "floor") if options[name] is not None
    }
    curve = Curve(
        **{name: getattr(card.curve, name) for name in Curve.__dataclass_fields__} | changes
    )
    if not 0 < curve.floor_bp <= ORDINARY_BP <= curve.cap_bp:
        raise CommandError("The floor is at most 100 percent, and the cap at least.")
    return curve


def _read(path: Path) -> Iterator[tuple[dt.datetime, Load]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                yield _parsed(row, line=number)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error


def _parsed(row: dict[str, str], *, line: int) -> tuple[dt.datetime, Load]:
    try:
        at = dt.datetime.fromisoformat(row["at"])
        used = row.get("utilisation_percent") or None
        load = Load(
            oldest_wait_s=int(row["oldest_wait_s"]),
            waiting_count=int(row["waiting_count"]),
            running_count=int(row["running_count"]),
            utilisation_percent=None if used is None else int(used),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"Line {line} is not {', '.join(_IN)}: {error}") from error
    if at.tzinfo is None:
        raise CommandError(f"Line {line}: the moment has no time zone.")
    if min(load.oldest_wait_s, load.waiting_count, load.running_count) < 0:
        raise CommandError(f"Line {line}: a count is below zero.")
    return at, load


def _write(points: list[PricePoint], file: TextIO) -> None:
    writer = csv.writer(file)
    writer.writerow(_OUT)
    for point in points:
        load, step = point.load, point.step
        used = "" if load.utilisation_percent is None else load.utilisation_percent
        writer.writerow(
            [
                point.at.isoformat(),
                load.oldest_wait_s,
                load.waiting_count,
                load.running_count,
                used,
                step.pressure_ppm,
                step.smoothed_ppm,
                step.target_bp,
                step.multiplier_bp,
                step.reason.value,
            ]
        )


def _summary(points: list[PricePoint]) -> dict[str, Any]:
    series = [point.step.multiplier_bp for point in points]
    changes = sum(one != other for one, other in pairwise(series))
    return {
        "from": points[0].at.isoformat(),
        "to": points[-1].at.isoformat(),
        "minutes": len(points),
        "lowest": min(series) / ORDINARY_BP,
        "highest": max(series) / ORDINARY_BP,
        "average": round(sum(series) / len(series) / ORDINARY_BP, 4),
        "raised_percent": round(100 * sum(bp > ORDINARY_BP for bp in series) / len(series)),
        "changes": changes,
        "longest_wait_s": max(point.load.oldest_wait_s for point in points),
    }
