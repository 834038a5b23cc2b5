"""Random histories of the whole ledger."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tokens import services
from tokens.models import Wallet as WalletRow
from tokens.tests.model.batch_rules import BatchRules
from tokens.tests.model.bench import PEOPLE, SOMEBODY
from tokens.tests.model.compare import same
from tokens.tests.model.hold_rules import HoldRules
from tokens.wallets import AdjustmentOrder

NEARLY_ALWAYS = st.sampled_from([True, True, True, False])


class LedgerMachine(BatchRules, HoldRules):
    """All of it, with time that passes and people that change."""

    @rule(hours=st.sampled_from([1, 2, 4]), sweeps=st.sampled_from(["", "holds", "lots", "both"]))
    def wait(self, hours, sweeps):
        self.operations["wait"] += 1
        self._move_clock(self.now + hours)
        if sweeps in {"holds", "both"}:
            self._sweep_holds()
        if sweeps in {"lots", "both"}:
            self._sweep_lots()

    @rule(who=SOMEBODY, balance_max=st.sampled_from([None, 50, None]), is_active=NEARLY_ALWAYS)
    def set_up(self, who, balance_max, is_active):
        self.operations["set up"] += 1
        person, user = self.people[who], self.users[who]
        person.wallet.balance_max, person.is_active = balance_max, is_active
        WalletRow.objects.filter(owner=user).update(balance_max=balance_max)
        type(user).objects.filter(pk=user.pk).update(is_active=is_active)

    @rule(who=SOMEBODY, step=st.sampled_from(["close", "unfreeze", "freeze", "unfreeze"]))
    def set_status(self, who, step):
        person = self.people[who]
        # Tokens are written off of one wallet only: there has to be something to go on with.
        more = {"writes_off": who == PEOPLE - 1} if step == "close" else {}
        answers = self._both(
            step,
            expected=lambda: person.wallet.set_status(
                step=step, writes_off=more.get("writes_off", False), now=self.now
            ),
            actual=lambda: getattr(services, f"{step}_wallet")(
                user_ref=person.ref, reason="model", actor_id=self.operator.pk, **more
            ),
        )
        if answers is not None:
            same(step, answers[1].status, person.wallet.status.lower())
            self.events[f"wallet: {person.wallet.status}"] += 1

    @rule(who=SOMEBODY, amount=st.integers(-30, 20).filter(bool), is_repeated=st.booleans())
    def adjust(self, who, amount, is_repeated):
        person = self.people[who]
        key = f"adjustment {self.operations.total()}"

        def actual():
            return services.adjust_wallet(
                order=AdjustmentOrder(person.ref, amount, "model"),
                actor_id=self.operator.pk,
                idempotency_key=key,
            )

        answers = self._both(
            "adjust",
            expected=lambda: person.wallet.adjust(amount=amount, now=self.now),
            actual=actual,
        )
        if answers is not None and is_repeated:
            self.operations["repeat"] += 1
            same("repeat", actual(), replace(answers[1], is_replay=True))
