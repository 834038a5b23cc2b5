"""A recharge that others keep getting in the way of."""

from __future__ import annotations

import psycopg
import pytest
from django.db import OperationalError

from tokens.errors import RechargeBusyError
from tokens.models import RechargeBatch
from tokens.services.recharge import create


def test_a_recharge_that_meets_others_twice_is_busy():
    tries: list[int] = []

    def meet_others() -> RechargeBatch:
        tries.append(1)
        raise OperationalError from psycopg.errors.DeadlockDetected()

    with pytest.raises(RechargeBusyError) as refused:
        create(draft=meet_others, rows=list)

    assert len(tries) == 2
    assert (refused.value.code, refused.value.retryable) == ("recharge_busy", True)
