"""Invariants of what was reported: daily snapshots and closed months."""

from __future__ import annotations

from tokens.audit.types import Invariant

# Each transfer seen from both of its accounts; wallets and held tokens are kept per wallet.
LEGS_SQL = """
SELECT t.id, t.recorded_at, t.effective_at, leg.account, leg.credited, leg.debited,
       CASE WHEN leg.account IN ('WALLET', 'HELD') THEN t.wallet_id END AS wallet_id
  FROM tokens_transfer t
 CROSS JOIN LATERAL (VALUES (t.credit, t.amount, 0::bigint), (t.debit, 0::bigint, t.amount))
       AS leg(account, credited, debited)
"""

HISTORY = (
    Invariant(
        "I18",
        "snapshot_opens_with_the_closing_before",
        """
        SELECT id FROM (
               SELECT id, opening, lag(closing, 1, 0::bigint)
                      OVER (PARTITION BY account, wallet_id ORDER BY day) AS expected
                 FROM tokens_balancesnapshot
        ) s WHERE opening <> expected
        """,
    ),
    Invariant(
        "I18",
        "snapshot_agrees_with_the_journal_of_its_day",
        """
        SELECT concat_ws(' ', coalesce(s.day, j.day), coalesce(s.account, j.account),
                         'wallet', coalesce(s.wallet_id, j.wallet_id))
          FROM tokens_balancesnapshot s
          FULL JOIN (
               SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day, account,
                      coalesce(wallet_id, 0) AS wallet_key, wallet_id,
                      sum(credited) AS credited, sum(debited) AS debited
                 FROM (:legs) legs
                WHERE recorded_at < (
                      SELECT (max(day) + 1)::timestamp AT TIME ZONE 'UTC' FROM tokens_snapshotday)
                GROUP BY 1, 2, 3, 4
          ) j ON j.day = s.day AND j.account = s.account
             AND j.wallet_key = coalesce(s.wallet_id, 0)
         WHERE j.day IS NULL OR s.day IS NULL
            OR s.credited <> j.credited OR s.debited <> j.debited
            OR s.closing <> s.opening + s.credited - s.debited
        """.replace(":legs", LEGS_SQL),
    ),
    Invariant(
        "I18",
        "snapshot_day_agrees_with_the_journal",
        """
        SELECT d.day
          FROM tokens_snapshotday d
          LEFT JOIN (
               SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day,
                      count(*) AS transfers, sum(amount) AS tokens
                 FROM tokens_transfer
                WHERE EXISTS (SELECT 1 FROM tokens_snapshotday)
                GROUP BY 1
          ) j ON j.day = d.day
         WHERE d.transfers_count <> coalesce(j.transfers, 0)
            OR d.tokens_total <> coalesce(j.tokens, 0)
        """,
    ),
    Invariant(
        "I18",
        "snapshots_roll_forward_to_the_wallets",
        """
        SELECT w.id
          FROM tokens_wallet w
          LEFT JOIN LATERAL (
               SELECT closing FROM tokens_balancesnapshot
                WHERE wallet_id = w.id AND account = 'WALLET' ORDER BY day DESC LIMIT 1
          ) available ON true
          LEFT JOIN LATERAL (
               SELECT closing FROM tokens_balancesnapshot
                WHERE wallet_id = w.id AND account = 'HELD' ORDER BY day DESC LIMIT 1
          ) held ON true
          LEFT JOIN (
               SELECT wallet_id,
                      sum((credit = 'WALLET')::int * amount - (debit = 'WALLET')::int * amount)
                      AS available,
                      sum((credit = 'HELD')::int * amount - (debit = 'HELD')::int * amount) AS held
                 FROM tokens_transfer
                WHERE recorded_at >= (
                      SELECT (max(day) + 1)::timestamp AT TIME ZONE 'UTC' FROM tokens_snapshotday)
                GROUP BY wallet_id
          ) later ON later.wallet_id = w.id
         WHERE EXISTS (SELECT 1 FROM tokens_snapshotday)
           AND (w.available <> coalesce(available.closing, 0) + coalesce(later.available, 0)
                OR w.held <> coalesce(held.closing, 0) + coalesce(later.held, 0))
        """,
    ),
    Invariant(
        "I20",
        "closed_month_is_found_again",
        """
        SELECT to_char(c.month, 'YYYY-MM')
          FROM tokens_monthclose c
          LEFT JOIN LATERAL (
               SELECT jsonb_object_agg(account, jsonb_build_object(
                        'credited', credited, 'debited', debited, 'closing', closing)) AS totals
                 FROM (
                      SELECT account,
                             coalesce(sum(credited) FILTER (WHERE month = c.month), 0) AS credited,
                             coalesce(sum(debited) FILTER (WHERE month = c.month), 0) AS debited,
                             sum(credited) - sum(debited) AS closing
                        FROM (
                             SELECT date_trunc('month', effective_at AT TIME ZONE 'UTC')::date
                                    AS month, account,
                                    sum(credited) AS credited, sum(debited) AS debited
                               FROM (:legs) legs
                              WHERE EXISTS (SELECT 1 FROM tokens_monthclose)
                              GROUP BY 1, 2
                             ) months
                       WHERE month <= c.month GROUP BY account
                      ) figures
          ) j ON true
         WHERE c.reopened_at IS NULL AND c.totals IS NOT NULL
           AND c.totals <> coalesce(j.totals, '{}'::jsonb)
        """.replace(":legs", LEGS_SQL),
    ),
)
