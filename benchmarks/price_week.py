"""A week of a small platform, made up and always the same: its load as CSV for simulate_prices.

Four machines serve jobs of half a minute in the order in which they come. People come as they do:
few at night, more in the evening, most on Saturday; on Thursday evening something goes round and
many more come for three hours. The wait is what a queue of that kind makes of them.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import math
import random
from collections.abc import Iterator
from pathlib import Path

START = dt.datetime(2026, 11, 16, tzinfo=dt.UTC)
DAYS = 7
MACHINES = 4
JOB_S = 30.0
SEED = 7
# Jobs a minute at the middle of an ordinary day; four machines do eight.
USUAL = 4.0
THURSDAY, SATURDAY = 3, 5


def arrivals() -> Iterator[float]:
    """Seconds from the start at which jobs come: a Poisson process whose rate follows the clock."""
    chance = random.Random(SEED)  # noqa: S311  no secret depends on it
    at, highest = 0.0, _rate(THURSDAY * 86_400 + 19 * 3_600) * 1.5
    while at < DAYS * 86_400:
        at += chance.expovariate(highest)
        if chance.random() < _rate(at) / highest:
            yield at


def _rate(at: float) -> float:
    """Jobs a second."""
    day, second = divmod(at, 86_400)
    hour = second / 3_600
    rate = USUAL * (1 + 0.75 * math.sin((hour - 10) / 24 * 2 * math.pi)) / 60
    if day == SATURDAY:
        rate *= 1.25
    if day == THURSDAY and 19 <= hour < 22:  # noqa: PLR2004  three hours of the evening
        rate *= 1.7
    return max(rate, 0.02 / 60)


def spans() -> Iterator[tuple[dt.datetime, dt.datetime, dt.datetime]]:
    """When each job came, began and ended."""
    free_at = [0.0] * MACHINES
    for came in arrivals():
        machine = min(range(MACHINES), key=free_at.__getitem__)
        began = max(came, free_at[machine])
        free_at[machine] = began + JOB_S
        yield tuple(START + dt.timedelta(seconds=at) for at in (came, began, free_at[machine]))  # type: ignore[misc]


def main() -> None:
    """Write the load of each minute, and the picture of what a curve makes of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--svg", type=Path, required=True, help="picture to write")
    options = parser.parse_args()

    import django  # noqa: PLC0415  after the command line was read

    django.setup()
    # They need the settings.
    from inference.load_selectors import load_of_spans  # noqa: PLC0415
    from tokens import services as tokens_services  # noqa: PLC0415
    from tokens.price_types import Curve, OffPeak  # noqa: PLC0415

    until = START + dt.timedelta(days=DAYS)
    loads = []
    with options.load.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["at", "oldest_wait_s", "waiting_count", "running_count"])
        for at, load in load_of_spans(spans=spans(), since=START, until=until):
            loads.append((at, load))
            writer.writerow(
                [at.isoformat(), load.oldest_wait_s, load.waiting_count, load.running_count]
            )
    curve = Curve(floor_bp=8_000, cap_bp=25_000, off_peak=(OffPeak(60, 7 * 60),))
    points = tokens_services.simulate_prices(loads=loads, curve=curve)
    picture = tokens_services.draw_prices(points=points, curve=curve, title="A week of prices")
    options.svg.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
