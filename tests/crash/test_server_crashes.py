"""Immediate shutdowns of PostgreSQL at random moments of money work; then recovery, and the rest.

CRASH_POINTS sets the number of crashes (50 by default, spread over the kinds of work), CRASH_SEED
repeats the moments of an earlier run.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.crash.applying import Applying
from tests.crash.expiring import Expiring
from tests.crash.processes import Place, Process, run
from tests.crash.scenario import SETTINGS, Scenario, migrate
from tests.crash.servers import CrashingServer
from tests.crash.settling import Settling

SCENARIOS: dict[str, Scenario] = {
    "atomic": Applying(mode="atomic", batches_count=8, rows_count=10),
    "soft_fail": Applying(mode="soft_fail", batches_count=1, rows_count=40),
    "settle": Settling(rounds=3),
    "expiry": Expiring(owners_count=10),
    "reversal": Applying(mode="soft_fail", batches_count=2, rows_count=20, is_reversal=True),
}
POINTS = int(os.environ.get("CRASH_POINTS", "50"))
POINTS_EACH = -(-POINTS // len(SCENARIOS))
SEED = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(2**32))
# A statement takes about a millisecond; so the crash also falls into one and not only between two.
JITTER_S = 0.002
RECOVERED = "automatic recovery in progress"
MEMORY = Path("/dev/shm")  # noqa: S108  # only for a folder with a random name
MEMORY_BYTES_MIN = 2**30


@pytest.fixture(scope="module")
def server() -> Iterator[CrashingServer]:
    """A durable server with the schema in it."""
    home = Path(tempfile.mkdtemp(prefix="crash-", dir=quick_folder()))
    # The server's user must be able to pass through.
    home.chmod(0o711)
    server = CrashingServer(home)
    try:
        server.start()
        assert run(migrate, place=Place(database=server.database)).is_done
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


def quick_folder() -> Path | None:
    """Where a server recovers fastest; None is the usual place.

    The processes crash and not the machine: what the server has flushed is safe in memory as well.
    """
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN
    return MEMORY if has_room else None


def crash_once(server: CrashingServer, scenario: Scenario, *, step: int, jitter_s: float) -> bool:
    """Crash the server when the work is at ``step``; whether that was in the middle of it."""
    place = Place(database=server.database, settings=SETTINGS)
    prepared = run(scenario.prepare, place=place).value
    worker = Process(partial(scenario.work, prepared), place=place, wait_before=step)
    if worker.is_waiting():
        worker.go_on()
        time.sleep(jitter_s)
    server.crash()
    ended = worker.end()
    assert ended.is_done or ended.lost_database
    recoveries = server.log.count(RECOVERED)
    server.start()
    assert server.log.count(RECOVERED) == recoveries + 1, "the server was not interrupted"
    was_midway = run(partial(scenario.recover, prepared, ended.said), place=place).value
    assert isinstance(was_midway, bool)
    return was_midway


@pytest.mark.timeout(120 + 6 * POINTS_EACH)
@pytest.mark.parametrize("kind", SCENARIOS)
def test_a_crash_of_the_server_loses_nothing_and_repeats_nothing(server, kind):
    scenario = SCENARIOS[kind]
    moments = random.Random(f"{SEED}:{kind}")  # noqa: S311  # chooses moments, hides nothing
    place = Place(database=server.database, settings=SETTINGS)
    prepared = run(scenario.prepare, place=place).value
    uninterrupted = run(partial(scenario.work, prepared), place=place)
    assert uninterrupted.is_done
    steps_count = len(uninterrupted.steps)
    midway = 0
    for point in range(POINTS_EACH):
        step, jitter_s = moments.randint(1, steps_count), moments.uniform(0, JITTER_S)
        sys.stdout.write(f"CRASH_SEED={SEED} {kind} {point}: step {step} of {steps_count}\n")
        midway += crash_once(server, scenario, step=step, jitter_s=jitter_s)
    assert midway >= POINTS_EACH // 2, f"only {midway} of {POINTS_EACH} crashes were in the middle"
    sys.stdout.write(f"{kind}: {midway} of {POINTS_EACH} crashes were in the middle of the work\n")
