"""Does the hash chain still describe the journal and the audit events?"""

from __future__ import annotations

from collections.abc import Iterator

from tokens.audit.types import Invariant, Violation, found
from tokens.ledger import seal
from tokens.ledger.seal import Contents
from tokens.models import SealBlock

# Blocks that are recomputed by one statement.
STEP = 50

COVERAGE = (
    Invariant(
        "I13",
        "sealed_row_exists",
        """
        SELECT 'transfer ' || m.transfer_id FROM tokens_sealmember m
         WHERE NOT EXISTS (SELECT 1 FROM tokens_transfer t WHERE t.id = m.transfer_id)
         UNION ALL
        SELECT 'audit event ' || m.event_id FROM tokens_sealedevent m
         WHERE NOT EXISTS (SELECT 1 FROM tokens_auditevent e WHERE e.id = m.event_id)
        """,
    ),
    # When a block was sealed, every writer with a smaller number had ended: a row with such a
    # number and without a seal was written behind the chain's back.
    Invariant(
        "I13",
        "no_row_slipped_past_the_seals",
        """
        SELECT 'transfer ' || t.id FROM tokens_transfer t
         WHERE t.recorded_xid < (
               SELECT horizon::text::xid8 FROM tokens_sealblock ORDER BY number DESC LIMIT 1)
           AND NOT EXISTS (SELECT 1 FROM tokens_sealmember m WHERE m.transfer_id = t.id)
         UNION ALL
        SELECT 'audit event ' || e.id FROM tokens_auditevent e
         WHERE e.recorded_xid < (
               SELECT horizon::text::xid8 FROM tokens_sealblock ORDER BY number DESC LIMIT 1)
           AND NOT EXISTS (SELECT 1 FROM tokens_sealedevent m WHERE m.event_id = e.id)
        """,
    ),
    Invariant(
        "I13",
        "nothing_older_than_an_hour_is_unsealed",
        """
        SELECT t.id FROM tokens_transfer t
         WHERE t.recorded_at < now() - interval '1 hour'
           AND NOT EXISTS (SELECT 1 FROM tokens_sealmember m WHERE m.transfer_id = t.id)
        """,
    ),
)
CONTENTS_RECOMPUTE = "seal_contents_recompute"
CHAIN_LINKS = "seal_chain_links"
CHAIN_NAMES = (CONTENTS_RECOMPUTE, CHAIN_LINKS)


def find_broken_blocks() -> Iterator[Violation]:
    """Recompute every block from its members and every link from its header.

    Memory stays flat: blocks are read and hashed some at a time, the hashing is the database's.
    """
    changed: list[str] = []
    unlinked: list[str] = []
    number, previous_hash = 0, seal.GENESIS
    while blocks := list(SealBlock.objects.filter(number__gt=number).order_by("number")[:STEP]):
        contents = seal.read_contents(first=blocks[0].number, last=blocks[-1].number)
        for block in blocks:
            if _stated(block) != contents.get(block.number, Contents()):
                changed.append(str(block.number))
            if (
                block.number != number + 1
                or block.previous_hash != previous_hash
                or block.hash != seal.block_hash(block)
            ):
                unlinked.append(str(block.number))
            number, previous_hash = block.number, block.hash
    for name, offenders in ((CONTENTS_RECOMPUTE, changed), (CHAIN_LINKS, unlinked)):
        violation = found(name, offenders)
        if violation is not None:
            yield violation


def _stated(block: SealBlock) -> Contents:
    return Contents(
        transfers_count=block.transfers_count,
        tokens_total=int(block.tokens_total),
        transfers_sha256=block.transfers_sha256,
        events_count=block.events_count,
        events_sha256=block.events_sha256,
    )
