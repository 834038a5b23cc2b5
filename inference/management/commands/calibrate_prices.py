"""Compare what jobs brought with what they took, and say what prices would cover it."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from inference import calibration
from inference.calibration import CalibrationRow, CostRates, TrialRow

_DAYS_MAX: Final = 366
_HEAD: Final = (
    f"{'operation':<12} {'plan':<10} {'size':<10} {'jobs':>7} {'units':>8} {'tokens':>9} "
    f"{'cpu s':>9} {'gpu s':>9} {'income':>10} {'cost':>10} {'margin':>7} {'propose':>7}"
)


class Command(BaseCommand):
    """Print the calibration report of the last days."""

    help = (
        "Token income against measured cost by operation, plan and size, with proposed prices, "
        "and what cards on trial would have charged. Money is in the operator's currency."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The range, the rates, and how to print."""
        parser.add_argument("--days", type=int, default=7, help="of the past, up to now")
        for name in ("cpu-second", "gpu-second", "token-value"):
            parser.add_argument(
                f"--{name}", type=int, help="in millionths; by default as in the settings"
            )
        parser.add_argument("--margin", type=int, help="in percent; by default as in the settings")
        parser.add_argument("--csv", type=Path, help="write the report to this file")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Read, compare, print."""
        if not 1 <= options["days"] <= _DAYS_MAX:
            raise CommandError(f"--days is 1 to {_DAYS_MAX}.")
        until = timezone.now()
        since = until - dt.timedelta(days=options["days"])
        rates = _rates(options)
        rows = calibration.calibrate(since=since, until=until, rates=rates)
        trials = calibration.trial(since=since, until=until)
        if options["csv"] is not None:
            with options["csv"].open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(calibration.as_csv(rows))
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(rows, trials)))
            return
        self.stdout.write(_HEAD)
        for row in rows:
            self.stdout.write(_line(row))
        if not rows:
            self.stdout.write("No job has ended in these days.")
        for tried in trials:
            self.stdout.write(
                f"card {tried.card_version} on trial: {tried.operation} {tried.plan or '-'}: "
                f"{tried.quotes_count} quotes asked {tried.tokens} tokens, "
                f"it would have asked {tried.shadow_tokens}"
            )


def _rates(options: dict[str, Any]) -> CostRates:
    given = {
        "cpu_second_micros": options["cpu_second"],
        "gpu_second_micros": options["gpu_second"],
        "token_value_micros": options["token_value"],
        "margin_percent": options["margin"],
    }
    rates = dataclasses.replace(
        CostRates.from_settings(),
        **{name: value for name, value in given.items() if value is not None},
    )
    if rates.token_value_micros < 1 or min(dataclasses.astuple(rates)) < 0:
        raise CommandError("Rates are 0 or more, and a token is worth at least a millionth.")
    return rates


def _as_json(rows: list[CalibrationRow], trials: list[TrialRow]) -> dict[str, Any]:
    head, *lines = calibration.as_csv(rows)
    return {
        "rows": [
            {name: None if value == "" else value for name, value in zip(head, line, strict=True)}
            for line in lines
        ],
        "trials": [dataclasses.asdict(tried) for tried in trials],
    }


def _line(row: CalibrationRow) -> str:
    margin = "-" if row.margin_percent is None else f"{row.margin_percent}%"
    proposed = "-" if row.proposed_unit_tokens is None else str(row.proposed_unit_tokens)
    return (
        f"{row.operation:<12} {row.plan or '-':<10} {row.size:<10} {row.jobs_count:>7} "
        f"{row.units:>8} {row.tokens:>9} {row.cpu_ms / 1_000:>9.1f} {row.gpu_ms / 1_000:>9.1f} "
        f"{row.income_micros / 1_000_000:>10.4f} {row.cost_micros / 1_000_000:>10.4f} "
        f"{margin:>7} {proposed:>7}"
    )
