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

BALANCE_MAX = 50
# More of what brings people back than of what keeps them out.
CHANGES = [
    "unfreeze",
    "freeze",
    "lift the limit",
    "limit",
    "switch on",
    "switch off",
    "close",
    "unfreeze",
    "switch on",
]


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

    @rule(who=SOMEBODY, change=st.sampled_from(CHANGES))
    def change(self, who, change):
        person, user = self.people[who], self.users[who]
        if change in {"freeze", "unfreeze", "close"}:
            self._set_status(who, change)
        elif change in {"limit", "lift the limit"}:
            self.operations["limit"] += 1
            person.wallet.balance_max = BALANCE_MAX if change == "limit" else None
            WalletRow.objects.filter(owner=user).update(balance_max=person.wallet.balance_max)
        else:
            self.operations["switch"] += 1
            person.is_active = change == "switch on"
            type(user).objects.filter(pk=user.pk).update(is_active=person.is_active)

    @rule(who=SOMEBODY, amount=st.sampled_from([-30, -7, 5, 20]), is_repeated=st.booleans())
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

    def _set_status(self, who, step):
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
