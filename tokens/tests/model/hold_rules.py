"""What may happen to holds in a random history."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tokens import services
from tokens.tests.model.bench import HOURS, PICKS, SOMEBODY, Bench, in_transaction, pick_from
from tokens.tests.model.compare import same
from tokens.tests.model.wallets import Hold, Refused
from tokens.types import OverrunPolicy


class HoldRules(Bench):
    """Place, extend, settle, void, refund, note a late result."""

    @rule(who=SOMEBODY, amount=st.integers(1, 60), lasts=HOURS)
    def place(self, who, amount, lasts):
        self._place(who, amount=amount, lasts=lasts)

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS, lasts=HOURS)
    def extend(self, pick, lasts):
        hold = self._hold(pick)

        def expected():
            if hold.status != "PENDING":
                raise Refused("hold_resolved")
            hold.deadline = self.now + lasts
            hold.events.append(("EXTENDED", 0))

        self._both(
            "extend",
            expected=expected,
            actual=in_transaction(
                lambda: services.extend_hold(
                    hold_id=hold.id, expires_at=self.clock.moment(self.now + lasts)
                )
            ),
        )

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS, quarters=st.sampled_from([2, 4, 1, 3, 0, -1]))
    def settle_within(self, pick, quarters):
        self._settle(self._hold(pick), quarters, OverrunPolicy.REFUSE)

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS, quarters=st.sampled_from([5, 7, 40]), overrun=st.sampled_from(OverrunPolicy))
    def settle_beyond(self, pick, quarters, overrun):
        self._settle(self._hold(pick), quarters, overrun)

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS)
    def void(self, pick):
        hold = self._hold(pick)

        def expected():
            is_pending = hold.status == "PENDING"
            if is_pending:
                hold.wallet.close(hold=hold, status="VOIDED", charged=0, now=self.now)
            return is_pending

        wanted, got = self._both(
            "void",
            expected=expected,
            actual=in_transaction(lambda: services.void_hold(hold_id=hold.id)),
        )
        same("voided", got, wanted)

    @precondition(lambda self: any(hold.status == "SETTLED" for hold in self.holds))
    @rule(pick=PICKS, quarters=st.integers(0, 5))
    def refund(self, pick, quarters):
        settled = [hold for hold in self.holds if hold.status == "SETTLED"]
        self._refund(pick_from(settled[-4:], pick), quarters)

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS, what=st.sampled_from(["refund", "hold twice", "late result"]))
    def try_what_may_not_be(self, pick, what):
        """Refund what need not be settled, hold again for the same work, come late."""
        hold = pick_from(self.holds, pick)
        if what == "refund":
            self._refund(hold, 1)
        elif what == "hold twice":
            who = [person.wallet for person in self.people].index(hold.wallet)
            self._place(who, amount=1, reference=hold.reference, lasts=1)
        else:
            self._both(
                what,
                expected=lambda: hold.events.append(("LATE_RESULT", 7)),
                actual=lambda: services.record_late_result(hold_id=hold.id, tokens=7, note="late"),
            )

    def _refund(self, hold, quarters):
        amount = hold.settled * quarters // 4
        lots_count = len(hold.wallet.lots)
        answers = self._both(
            "refund",
            expected=lambda: hold.wallet.refund(hold=hold, amount=amount, now=self.now),
            actual=lambda: services.refund_hold(hold_id=hold.id, amount=amount, note="model"),
        )
        is_part = answers is not None and amount < hold.settled
        self.events["refund of a part, from several lots"] += is_part and len(hold.spent) > 1
        self.events["refund to a grace lot"] += len(hold.wallet.lots) > lots_count

    def _hold(self, pick) -> Hold:
        """Most often one that still runs."""
        pending = [hold for hold in self.holds if hold.status == "PENDING"]
        return pick_from([*pending, *self.holds[-2:]], pick)
