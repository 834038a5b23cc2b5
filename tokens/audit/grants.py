"""Invariants of scheduled grants: each account once a period, and nobody beside them."""

from __future__ import annotations

from tokens.audit.types import Invariant

GRANTS = (
    Invariant(
        "I22",
        "scheduled_batch_grants_exactly_its_claims",
        """
        SELECT b.id::text
          FROM tokens_rechargebatch b
          LEFT JOIN (
               SELECT batch_id, count(*) AS accounts FROM tokens_scheduledgrant GROUP BY batch_id
          ) g ON g.batch_id = b.id
         WHERE coalesce(g.accounts, 0)
               <> CASE b.source WHEN 'SCHEDULE' THEN b.lines_count ELSE 0 END
         UNION ALL
        SELECT 'claim ' || g.id FROM tokens_scheduledgrant g
         WHERE NOT EXISTS (SELECT 1 FROM tokens_rechargebatch b WHERE b.id = g.batch_id)
         UNION ALL
        SELECT 'line ' || l.id
          FROM tokens_rechargebatch b
          JOIN tokens_rechargeline l ON l.batch_id = b.id
          JOIN tokens_wallet w ON w.id = l.wallet_id
          LEFT JOIN tokens_scheduledgrant g ON g.batch_id = b.id AND g.owner_id = w.owner_id
         WHERE b.source = 'SCHEDULE'
           AND (g.id IS NULL
                OR (g.amount IS NOT NULL
                    AND (g.amount <> l.amount OR g.expires_at IS DISTINCT FROM l.expires_at)))
        """,
    ),
)
