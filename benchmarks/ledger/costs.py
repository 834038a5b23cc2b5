"""What single protections and indexes of the hot tables cost a bulk recharge."""

from __future__ import annotations

from collections import defaultdict
from statistics import median
from typing import Final

from django.db import connection

from benchmarks.ledger import people, ways
from benchmarks.ledger.server import Server, copy_of_base
from benchmarks.ledger.ways import Sample, Work
from benchmarks.reporting import Report, print_table, say

CHECKS: Final = "the checks of transfers, lots and lines"
DROP_CHECKS_SQL: Final = """
DO $$ DECLARE found record; BEGIN
    FOR found IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
                  WHERE contype = 'c' AND conrelid = ANY (ARRAY['tokens_transfer'::regclass,
                        'tokens_creditlot'::regclass, 'tokens_rechargeline'::regclass])
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.place, found.conname);
    END LOOP;
END $$
"""
FOREIGN_KEYS_SQL: Final = """
ALTER TABLE tokens_creditlot ADD FOREIGN KEY (wallet_id) REFERENCES tokens_wallet;
ALTER TABLE tokens_rechargeline ADD FOREIGN KEY (batch_id) REFERENCES tokens_rechargebatch,
      ADD FOREIGN KEY (wallet_id) REFERENCES tokens_wallet,
      ADD FOREIGN KEY (lot_id) REFERENCES tokens_creditlot DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE tokens_transfer ADD FOREIGN KEY (wallet_id) REFERENCES tokens_wallet,
      ADD FOREIGN KEY (lot_id) REFERENCES tokens_creditlot,
      ADD FOREIGN KEY (recharge_line_id) REFERENCES tokens_rechargeline
"""
# What is changed before the recharge, as SQL; the first is the product as it is.
VARIANTS: Final = {
    "as it is": "SELECT",
    "with foreign keys on lots, lines and transfers": FOREIGN_KEYS_SQL,
    f"without {CHECKS}": DROP_CHECKS_SQL,
    "without the trigger for closed months": (
        "DROP TRIGGER tokens_transfer_month_is_open ON tokens_transfer"
    ),
    "without the index on recorded_xid": "DROP INDEX tokens_transfer_recorded_xid",
    "without the index (wallet, number) of transfers": "DROP INDEX transfer_wallet_journal",
    "without the index of a line's transfer": "DROP INDEX transfer_once_per_line",
    "without the index in burn order": "DROP INDEX creditlot_burn_order",
    "without the index (batch, row) of lines": (
        "ALTER TABLE tokens_rechargeline DROP CONSTRAINT rechargeline_row_once"
    ),
    "without room on the wallets' pages (fill factor 100)": (
        "ALTER TABLE tokens_wallet SET (fillfactor = 100); VACUUM FULL tokens_wallet"
    ),
}


def measure(*, server: Server, report: Report, actor_id: int, size: int, rounds: int) -> None:
    """Recharge once per variant and round, all variants in turn."""
    refs = people.references(limit=size)
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for turn in range(1, rounds + 1):
        for name, statements in VARIANTS.items():
            say(f"costs: round {turn} of {rounds}, {name}")
            with copy_of_base(server=server, name="costs") as database:
                _change(statements)
                work = Work(refs, actor_id, server, database)
                samples[name].append(ways.measure(way=ways.service_atomic, work=work))
    seconds = {name: median(one.seconds for one in taken) for name, taken in samples.items()}
    whole = seconds["as it is"]
    rows: list[list[object]] = [
        [
            name,
            taken_s,
            f"{taken_s / whole - 1:+.0%}",
            median(one.wal_bytes for one in samples[name]) / size,
        ]
        for name, taken_s in seconds.items()
    ]
    for number, taken_s in enumerate(seconds.values()):
        report.add(f"cost_variant_{number}_s", taken_s)
    print_table(
        f"An atomic recharge of {size:,} lines (medians of {rounds})",
        ["tables", "seconds", "against as it is", "WAL bytes/row"],
        rows,
    )


def _change(statements: str) -> None:
    # VACUUM is refused among several statements of one message.
    with connection.cursor() as cursor:
        if statements.startswith("DO"):
            cursor.execute(statements)
            return
        for statement in statements.split(";"):
            cursor.execute(statement)
