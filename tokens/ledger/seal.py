"""The hash chain over the journal and the audit events.

A run seals rows of transactions that have all ended: ``recorded_xid`` below the oldest number still
in use. Whatever commits later has a number that is not below it and falls to a later run, so the
range of numbers since the last block holds every unsealed row, and nothing is skipped or read
twice. A writer that stays open delays sealing; it cannot slip past it.

What is hashed is spelled out here and not in a database function, so that replacing a function in
the database cannot fool the verification.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from tokens.ledger.locks import require_transaction
from tokens.models import SealBlock

FORMAT = 1
GENESIS = "0" * 64
# Rows of one block: small enough to recheck in a blink, large enough to keep the chain short.
BLOCK_ROWS = 10_000
# Rows of one transaction, give or take one writer's: bounds memory and the wait of a second run.
RUN_ROWS = 200_000
LOCK_KEY = 7_331_001

_TIME = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
# Numbers, names from closed lists and times: no value can hold the separator.
TRANSFER_LINE = " || '|' || ".join(
    [
        "t.id",
        "t.kind",
        "t.wallet_id",
        "t.lot_id",
        "t.debit",
        "t.credit",
        "t.amount",
        "coalesce(t.hold_id::text, '')",
        "coalesce(t.recharge_line_id::text, '')",
        "coalesce(t.reverses_id::text, '')",
        _TIME.format("t.recorded_at"),
        _TIME.format("t.effective_at"),
    ]
)
# JSON escapes line breaks, so free text cannot forge a line.
EVENT_LINE = (
    "jsonb_build_array(e.id, e.actor_id, e.action, e.subject, e.before, e.after, e.before_sha256,"
    f" e.after_sha256, e.request_id, {_TIME.format('e.recorded_at')})::text"
)


def digest_of(line: str, order: str) -> str:
    """SQL for the digest of all lines of a group; of nothing where the group is empty."""
    lines = f"coalesce(string_agg({line}, E'\\n' ORDER BY {order}), '')"
    return f"encode(sha256(convert_to({lines}, 'UTF8')), 'hex')"


EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
# The first rows of a run decide how far it goes; a writer's rows are never split between two runs.
FAR_END_SQL = """
SELECT (SELECT recorded_xid::text::bigint FROM tokens_transfer
         WHERE recorded_xid >= %(low)s::xid8 AND recorded_xid < %(high)s::xid8
         ORDER BY recorded_xid LIMIT 1),
       (SELECT recorded_xid::text::bigint FROM tokens_transfer
         WHERE recorded_xid >= %(low)s::xid8 AND recorded_xid < %(high)s::xid8
         ORDER BY recorded_xid OFFSET %(rows)s LIMIT 1)
"""
ADD_MEMBERS_SQL = """
INSERT INTO {members} ({key}, block_id)
SELECT entry.id, %(head)s + 1 + (row_number() OVER (ORDER BY entry.id) - 1) / %(rows)s
  FROM {rows} entry
 WHERE entry.recorded_xid >= %(low)s::xid8 AND entry.recorded_xid < %(high)s::xid8
   AND NOT EXISTS (SELECT 1 FROM {members} member WHERE member.{key} = entry.id)
"""
ADD_TRANSFERS_SQL = ADD_MEMBERS_SQL.format(
    members="tokens_sealmember", key="transfer_id", rows="tokens_transfer"
)
ADD_EVENTS_SQL = ADD_MEMBERS_SQL.format(
    members="tokens_sealedevent", key="event_id", rows="tokens_auditevent"
)
TRANSFER_DIGESTS_SQL = """
SELECT m.block_id, count(t.id), coalesce(sum(t.amount), 0), :digest
  FROM tokens_sealmember m LEFT JOIN tokens_transfer t ON t.id = m.transfer_id
 WHERE m.block_id BETWEEN %(first)s AND %(last)s
 GROUP BY m.block_id
""".replace(":digest", digest_of(TRANSFER_LINE, "t.id"))
EVENT_DIGESTS_SQL = """
SELECT m.block_id, count(e.id), :digest
  FROM tokens_sealedevent m LEFT JOIN tokens_auditevent e ON e.id = m.event_id
 WHERE m.block_id BETWEEN %(first)s AND %(last)s
 GROUP BY m.block_id
""".replace(":digest", digest_of(EVENT_LINE, "e.id"))
COUNT_UNSEALED_SQL = """
SELECT count(*) FROM tokens_transfer t
 WHERE t.recorded_xid >= %(low)s::xid8
   AND NOT EXISTS (SELECT 1 FROM tokens_sealmember m WHERE m.transfer_id = t.id)
"""
ANY_NUMBER = 2**62


@dataclass(frozen=True, slots=True)
class Contents:
    """What a block seals, as counted and hashed from its members."""

    transfers_count: int = 0
    tokens_total: int = 0
    transfers_sha256: str = EMPTY_SHA256
    events_count: int = 0
    events_sha256: str = EMPTY_SHA256


@dataclass(frozen=True, slots=True)
class SealCount:
    """What one run sealed; ``is_done`` says that nothing more can be sealed now."""

    blocks: int
    transfers: int
    events: int
    is_done: bool


def seal(*, block_rows: int = BLOCK_ROWS, run_rows: int = RUN_ROWS) -> SealCount:
    """Append blocks for what is complete and unsealed; joins the caller's transaction.

    A second run waits for the first one's commit and goes on where it ended.

    Args:
        block_rows: transfers, or audit events, of one block.
        run_rows: transfers after which this run stops and leaves the rest to the next.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_KEY])
        head = SealBlock.objects.order_by("-number").first()
        low, high, is_done = _range(cursor, head, run_rows)
        number = head.number if head else 0
        parameters: dict[str, Any] = {
            "low": str(low),
            "high": str(high),
            "head": number,
            "rows": block_rows,
        }
        cursor.execute(ADD_TRANSFERS_SQL, parameters)
        transfers = cursor.rowcount
        cursor.execute(ADD_EVENTS_SQL, parameters)
        events = cursor.rowcount
    contents = read_contents(first=number + 1, last=ANY_NUMBER)
    blocks = _chain(contents, head=head, horizon=high)
    SealBlock.objects.bulk_create(blocks, batch_size=1_000)
    return SealCount(len(blocks), transfers, events, is_done)


def seal_all(*, progress: Callable[[SealCount], None] | None = None) -> SealCount:
    """Seal everything that is complete, in transactions of their own.

    Args:
        progress: told what each of them sealed.

    Returns:
        The sum.
    """
    blocks = transfers = events = 0
    is_done = False
    while not is_done:
        with transaction.atomic(durable=True):
            count = seal()
        blocks += count.blocks
        transfers += count.transfers
        events += count.events
        is_done = count.is_done
        if progress is not None:
            progress(count)
    return SealCount(blocks, transfers, events, is_done)


def count_unsealed() -> int:
    """Transfers that wait for a seal, those of open writers left out."""
    head = SealBlock.objects.order_by("-number").first()
    with connection.cursor() as cursor:
        cursor.execute(COUNT_UNSEALED_SQL, {"low": str(head.horizon if head else 0)})
        return int(cursor.fetchone()[0])


def read_contents(*, first: int, last: int) -> dict[int, Contents]:
    """Count and hash the members of the blocks ``first`` to ``last``, by block number."""
    found: dict[int, dict[str, Any]] = {}
    with connection.cursor() as cursor:
        cursor.execute(TRANSFER_DIGESTS_SQL, {"first": first, "last": last})
        for number, count, tokens, digest in cursor.fetchall():
            found[number] = {
                "transfers_count": count,
                "tokens_total": int(tokens),
                "transfers_sha256": digest,
            }
        cursor.execute(EVENT_DIGESTS_SQL, {"first": first, "last": last})
        for number, count, digest in cursor.fetchall():
            found.setdefault(number, {}).update(events_count=count, events_sha256=digest)
    return {number: Contents(**fields) for number, fields in sorted(found.items())}


def block_hash(block: SealBlock) -> str:
    """SHA-256 over the block's header, which names the hash of the block before."""
    header = (
        block.version,
        block.number,
        block.previous_hash,
        block.horizon,
        block.transfers_count,
        int(block.tokens_total),
        block.transfers_sha256,
        block.events_count,
        block.events_sha256,
        block.sealed_at.isoformat(timespec="microseconds"),
    )
    return hashlib.sha256("|".join(map(str, header)).encode()).hexdigest()


def _range(cursor: Any, head: SealBlock | None, run_rows: int) -> tuple[int, int, bool]:
    """The transaction numbers that this run seals: from, before, and whether that is all."""
    cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    (horizon,) = cursor.fetchone()
    low = head.horizon if head else 0
    if horizon < low:
        # The numbers started anew: the database was restored into another cluster. Members tell.
        low = 0
    cursor.execute(FAR_END_SQL, {"low": str(low), "high": str(horizon), "rows": run_rows})
    first, beyond = cursor.fetchone()
    if beyond is None:
        return low, horizon, True
    return low, beyond if beyond > first else beyond + 1, False


def _chain(
    contents: dict[int, Contents], *, head: SealBlock | None, horizon: int
) -> list[SealBlock]:
    previous_hash = head.hash if head else GENESIS
    sealed_at = timezone.now()
    blocks = []
    for number, content in contents.items():
        block = SealBlock(
            number=number,
            version=FORMAT,
            horizon=horizon,
            transfers_count=content.transfers_count,
            tokens_total=content.tokens_total,
            transfers_sha256=content.transfers_sha256,
            events_count=content.events_count,
            events_sha256=content.events_sha256,
            previous_hash=previous_hash,
            sealed_at=sealed_at,
        )
        block.hash = previous_hash = block_hash(block)
        blocks.append(block)
    return blocks
