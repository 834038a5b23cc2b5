"""What the client processes do: charge accounts through the product's services.

One charge is a hold and its settlement, each committed.
"""

from __future__ import annotations

import datetime as dt
import random
import resource
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from django.db import transaction
from django.utils import timezone

from benchmarks.ledger import children, server, ways
from tokens import batch_handlers, recharge_files, services
from tokens.types import LotTerms, RechargeItem, RechargeMode, RechargeOrder, RechargeSource

PRICE: Final = 3
LIFE: Final = dt.timedelta(hours=1)
KIB: Final = 1024


class Held(NamedTuple):
    """When a hold was due (seconds of the system's monotonic clock), and how late it was placed."""

    due_at: float
    seconds: float


def use_database(*, name: str) -> None:
    """Go to another database of the same server."""
    server.use_database(name=name)


def charge(*, owner_ids: Sequence[int], seconds: float, is_joined: bool) -> int:
    """Charge accounts picked at random, one after the other, for so long; the number of charges.

    ``is_joined``: each step joins a transaction of its caller, as those of jobs do, instead of
    being one itself.
    """
    pick = random.Random(uuid.uuid4().int)  # noqa: S311  # spreads load, protects nothing
    step = partial(transaction.atomic, durable=True) if is_joined else nullcontext
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        with step():
            hold_id = _hold(pick.choice(owner_ids))
        with step():
            _settle(hold_id)
        count += 1
    return count


def charge_steadily(*, owner_ids: Sequence[int], every_s: float) -> list[Held]:
    """Charge an account every so many seconds until asked to stop.

    A hold's time counts from the moment when it was due: a client that is stalled leaves behind
    the holds that others would have wanted meanwhile.
    """
    pick = random.Random(uuid.uuid4().int)  # noqa: S311  # spreads load, protects nothing
    held: list[Held] = []
    due_at = time.monotonic() + pick.uniform(0, every_s)
    while not children.is_asked_to_stop():
        time.sleep(max(0.0, due_at - time.monotonic()))
        hold_id = _hold(pick.choice(owner_ids))
        held.append(Held(due_at, time.monotonic() - due_at))
        _settle(hold_id)
        due_at += every_s
    return held


def recharge(*, mode: str, refs: Sequence[str], actor_id: int) -> tuple[float, float]:
    """Recharge through the service; when it began and ended on the monotonic clock."""
    items = [RechargeItem(ref, ways.AMOUNT) for ref in refs]
    start = time.monotonic()
    ways.recharge(mode=RechargeMode(mode), items=items, actor_id=actor_id)
    return start, time.monotonic()


def recharge_file(*, path: str, actor_id: int) -> float:
    """Recharge from a CSV file, line by line; the process's peak of memory in MiB."""
    order = RechargeOrder(
        mode=RechargeMode.SOFT_FAIL,
        reason="benchmark",
        fingerprint=uuid.uuid4().hex * 2,
        source=RechargeSource.CSV,
        terms=LotTerms(),
    )
    rules = recharge_files.RowRules(
        template=services.staged_template(order=order, amount=0),
        amount=None,
        cell_length_max=64,
        bytes_max=2**30,
    )
    with Path(path).open("rb") as file:
        receipt = services.create_batch(
            order=order,
            rows=lambda: recharge_files.read_rows(file, source=order.source, rules=rules),
            actor_id=actor_id,
            idempotency_key=uuid.uuid4().hex,
        )
    batch_handlers.apply_recharge_batch(batch_id=receipt.batch_id)
    return peak_mib()


def peak_mib() -> float:
    """The most memory that this process ever held, in MiB."""
    # getrusage also counts what the parent held when it started us; Linux knows better.
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / KIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / KIB / (KIB if sys.platform == "darwin" else 1)


def _hold(owner_id: int) -> uuid.UUID:
    return services.place_hold(
        owner_id=owner_id,
        amount=PRICE,
        reference=f"bench:{uuid.uuid4()}",
        expires_at=timezone.now() + LIFE,
    )


def _settle(hold_id: uuid.UUID) -> None:
    services.settle_hold(hold_id=hold_id, amount=PRICE)
