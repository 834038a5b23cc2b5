"""Which subscriptions have begun a period, and what each of them gets for it. Set-based."""

from __future__ import annotations

import datetime as dt

from accounts import selectors as accounts_selectors
from tokens.grants import DueAccounts, named
from tokens.plans import Allowance, Rollover

USERS = "{users}"
ROLLED = "{rolled}"
# Counted from the first day of the subscription; see ``tokens.plans.cycle_of``, which says the
# same of one account. ``begun`` is months from the anchor to the beginning of the period.
CYCLES_SQL = f"""
SELECT c.id, c.user_ref, c.period,
       %(tokens)s::bigint + {ROLLED} AS amount,
       CASE WHEN %(stays)s THEN NULL
            ELSE c.next_period::timestamp AT TIME ZONE %(zone)s END AS expires_at
  FROM (
       SELECT b.id, b.user_ref,
              (b.anchor + make_interval(months => b.begun - %(length)s))::date AS period_before,
              (b.anchor + make_interval(months => b.begun))::date AS period,
              (b.anchor + make_interval(months => b.begun + %(length)s))::date AS next_period
         FROM (
              SELECT m.id, m.user_ref, m.anchor,
                     CASE WHEN (m.anchor + make_interval(months => m.begun))::date > %(day)s::date
                          THEN m.begun - %(length)s ELSE m.begun END AS begun
                FROM (
                     SELECT u.id, u.user_ref, u.anchor,
                            ((extract(year FROM %(day)s::date) - extract(year FROM u.anchor)) * 12
                              + extract(month FROM %(day)s::date) - extract(month FROM u.anchor)
                            )::int / %(length)s * %(length)s AS begun
                       FROM ({USERS}) u
                ) m
         ) b
  ) c
"""  # noqa: S608  # made of constants of this module
# Tokens of a period that is over are worth nothing.
STILL_WORTH_SQL = """
 WHERE %(stays)s OR c.next_period::timestamp AT TIME ZONE %(zone)s > %(now)s
"""
# Of the period before, if it was granted: see sql/left_over.sql.
LEFT_OVER_SQL = """
least(%(rollover_max)s, tokens_left_over(%(claims)s, c.id, c.period_before, %(now)s))
"""


def due(
    *, rule: str, plan: str, allowance: Allowance, day: dt.date, now: dt.datetime, zone: str
) -> DueAccounts:
    """Every subscription of a plan, with the period that a day lies in and its tokens.

    Args:
        rule: what the claims of the plan are told apart by.
        plan: whose subscriptions.
        allowance: what the plan gives.
        day: the day, in ``zone``.
        now: the moment of the run.
        zone: where the periods begin and end.
    """
    users_sql, users = named(*accounts_selectors.subscribers_sql(plan=plan, started_by=day))
    rolled = LEFT_OVER_SQL if allowance.rollover is Rollover.CAPPED else "0"
    sql = CYCLES_SQL.replace(ROLLED, rolled).replace(USERS, users_sql)
    return DueAccounts(
        f"{sql}{STILL_WORTH_SQL}",
        {
            **users,
            "claims": rule,
            "tokens": allowance.tokens,
            "rollover_max": allowance.rollover_max,
            "stays": allowance.rollover is Rollover.FULL,
            "length": allowance.cycle_months,
            "day": day,
            "now": now,
            "zone": zone,
        },
    )
