"""Random histories against an independent model of one wallet."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tokens import audit, handlers, selectors, services
from tokens.errors import HoldResolvedError, InsufficientTokensError
from tokens.models import Hold
from tokens.tests.factories import make_user, recharge

_references = itertools.count()


class WalletMachine(RuleBasedStateMachine):
    """Recharge, hold, settle, void and expire in any order; the model is two plain numbers."""

    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.user = make_user()
        self.available = 0
        self.pending: dict[object, int] = {}

    @rule(amount=st.integers(1, 50))
    def recharge(self, amount):
        recharge([self.user.user_ref], amount, actor=self.user)
        self.available += amount

    @rule(target=holds, amount=st.integers(1, 60))
    def place(self, amount):
        try:
            with transaction.atomic():
                hold_id = services.place_hold(
                    owner_id=self.user.pk,
                    amount=amount,
                    reference=f"model:{next(_references)}",
                    expires_at=timezone.now() + dt.timedelta(hours=1),
                )
        except InsufficientTokensError:
            assert amount > self.available
            return None
        assert amount <= self.available
        self.available -= amount
        self.pending[hold_id] = amount
        return hold_id

    @rule(hold_id=holds, share=st.integers(0, 100))
    def settle(self, hold_id, share):
        held = self.pending.pop(hold_id, None)
        if held is not None:
            settled = held * share // 100
            with transaction.atomic():
                services.settle_hold(hold_id=hold_id, amount=settled)
            self.available += held - settled
        elif hold_id is not None:
            with pytest.raises(HoldResolvedError), transaction.atomic():
                services.settle_hold(hold_id=hold_id, amount=1)

    @rule(hold_id=holds)
    def void(self, hold_id):
        if hold_id is None:
            return
        held = self.pending.pop(hold_id, None)
        with transaction.atomic():
            assert services.void_hold(hold_id=hold_id) is (held is not None)
        self.available += held or 0

    @rule(hold_id=holds)
    def expire(self, hold_id):
        if hold_id in self.pending:
            Hold.objects.filter(pk=hold_id).update(expires_at=timezone.now())
            assert handlers.expire_holds() == 1
            self.available += self.pending.pop(hold_id)

    @invariant()
    def wallet_equals_model(self):
        balance = selectors.balance(user_id=self.user.pk)
        assert (balance.available, balance.held) == (self.available, sum(self.pending.values()))
        assert audit.find_violations() == []


@pytest.mark.django_db(transaction=True)
def test_any_history_keeps_wallet_and_journal_in_step():
    run_state_machine_as_test(
        WalletMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
