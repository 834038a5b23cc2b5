"""The tokens that an API key may set aside in one day of UTC."""

from __future__ import annotations

import uuid

from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts.errors import ApiKeyBudgetExceededError
from accounts.models import ApiKey

# A day begins at midnight UTC, by the clock of the database as of the transaction's start: what is
# given back comes off the day that it was counted on. The row of the day is locked by the statement
# that looks at it, so that requests at the same moment count one after the other.
_SPEND_SQL = """
INSERT INTO accounts_apikeyspending AS spent (lineage, day, tokens)
SELECT %(lineage)s, (now() AT TIME ZONE 'UTC')::date, %(tokens)s WHERE %(tokens)s <= %(budget)s
    ON CONFLICT (lineage, day) DO UPDATE SET tokens = spent.tokens + excluded.tokens
 WHERE spent.tokens + excluded.tokens <= %(budget)s
RETURNING spent.tokens
"""
_SPENT_SQL = """
SELECT tokens FROM accounts_apikeyspending
 WHERE lineage = %s AND day = (now() AT TIME ZONE 'UTC')::date
"""


def spend_key_budget(*, key_id: uuid.UUID | None, tokens: int) -> None:
    """Count tokens (> 0) that a key is about to set aside. Joins the caller's transaction.

    Call it before the wallet is locked: the order is budget, wallet. A transaction that is rolled
    back has counted nothing. ``None`` is a caller without a key, who has no budget.

    Raises:
        ApiKeyBudgetExceededError: the key's day has less left.
    """
    if key_id is None:
        return
    key = ApiKey.objects.only("lineage", "daily_token_budget").get(pk=key_id)
    if key.daily_token_budget is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _SPEND_SQL,
            {
                "lineage": key.lineage,
                "tokens": tokens,
                "budget": key.daily_token_budget,
            },
        )
        if cursor.fetchone() is not None:
            return
    spent = _spent(key)
    raise ApiKeyBudgetExceededError(
        _("This needs %(tokens)d tokens; the key has %(left)d left of its %(budget)d for today.")
        % {
            "tokens": tokens,
            "left": max(0, key.daily_token_budget - spent),
            "budget": key.daily_token_budget,
        },
        needed=tokens,
        daily_token_budget=key.daily_token_budget,
        spent_today=spent,
    )


def give_back_key_budget(*, key_id: uuid.UUID | None, tokens: int) -> None:
    """Take back what ``spend_key_budget`` counted in this transaction and was not set aside."""
    if key_id is None or not tokens:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_apikeyspending AS spent SET tokens = spent.tokens - %s"
            " FROM accounts_apikey AS key"
            " WHERE key.id = %s AND spent.lineage = key.lineage"
            " AND spent.day = (now() AT TIME ZONE 'UTC')::date"
            " AND key.daily_token_budget IS NOT NULL",
            [tokens, key_id],
        )


def _spent(key: ApiKey) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_SPENT_SQL, [key.lineage])
        row = cursor.fetchone()
    return 0 if row is None else int(row[0])
