"""Bulk recharges, in both modes, beside the other ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Final

from benchmarks.ledger import people, ways
from benchmarks.ledger.server import Server, copy_of_base
from benchmarks.ledger.targets import label
from benchmarks.ledger.ways import Sample, Way, Work
from benchmarks.reporting import Report, print_table, say
from tokens import audit

WAYS: Final[dict[str, Way]] = {
    "atomic": ways.service_atomic,
    "soft_fail": ways.service_soft_fail,
    "sql": ways.hand_written,
    "loop": ways.reference_loop,
    "orm": ways.orm_bulk,
}
TITLES: Final = {
    "atomic": "service, atomic",
    "soft_fail": "service, soft-fail",
    "sql": "hand-written SQL in psql",
    "loop": "loop: UPDATE + INSERT per user",
    "orm": "ORM: bulk_update + bulk_create",
}
# So often per round; the fast ones are over in milliseconds.
REPEATS: Final = {100: 5, 1_000: 3, 10_000: 1, 100_000: 1}
# These take half a minute at their largest, where once is enough.
SLOW: Final = ("loop", "orm")


def measure(
    *, server: Server, report: Report, actor_id: int, sizes: Sequence[int], rounds: int
) -> None:
    """Measure every way at every size, each round from a fresh copy of the database.

    Raises:
        RuntimeError: the books of the service do not balance.
    """
    refs = people.references(limit=max(sizes))
    samples: defaultdict[tuple[str, int], list[Sample]] = defaultdict(list)
    for turn in range(1, rounds + 1):
        for name, way in WAYS.items():
            say(f"bulk: round {turn} of {rounds}, {TITLES[name]}")
            with copy_of_base(server=server, name="bulk") as database:
                for size in sizes:
                    if name in SLOW and size == max(sizes) and turn > 1:
                        continue
                    work = Work(refs[:size], actor_id, server, database)
                    for _ in range(REPEATS[size]):
                        samples[name, size].append(ways.measure(way=way, work=work))
                if name in {"atomic", "soft_fail"} and turn == 1:
                    _require_balance()
    _report(report=report, sizes=sizes, samples=samples)


def _report(
    *,
    report: Report,
    sizes: Sequence[int],
    samples: dict[tuple[str, int], list[Sample]],
) -> None:
    seconds = {key: median(sample.seconds for sample in taken) for key, taken in samples.items()}
    rows: list[list[object]] = []
    for name, title in TITLES.items():
        row: list[object] = [title]
        for size in sizes:
            row += [seconds[name, size] * 1_000, size / seconds[name, size]]
            report.add(f"bulk_{name}_{label(size)}_rows_per_s", size / seconds[name, size])
        wal = median(sample.wal_bytes for sample in samples[name, max(sizes)]) / max(sizes)
        row.append(report.add(f"wal_bytes_per_row_{name}", wal))
        rows.append(row)
    head = ["way"]
    for size in sizes:
        head += [f"{size:,} ms", "rows/s"]
    print_table("Bulk recharge (medians)", [*head, f"WAL bytes/row at {max(sizes):,}"], rows)
    rows = []
    for mode in ("atomic", "soft_fail"):
        for other in ("loop", "sql", "orm"):
            ratios = [
                report.add(
                    f"bulk_{mode}_{label(size)}_vs_{other}",
                    seconds[other, size] / seconds[mode, size],
                )
                for size in sizes
            ]
            rows.append([f"{TITLES[mode]} against {TITLES[other]}", *ratios])
    print_table("Times as fast (below 1: slower)", ["", *(f"{size:,}" for size in sizes)], rows)


def _require_balance() -> None:
    violations = audit.find_violations()
    if violations:
        raise RuntimeError(f"The books do not balance: {violations}")
