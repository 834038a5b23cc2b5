"""Wallets, lots and holds by the written rules: whole tokens, whole hours, nothing else.

The rules are those of the glossary, of docs/wallets.md and of decision 8. Every way that tokens
can move counts in ``Wallet.journal``, so the totals by kind can be compared with the real journal.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field

GRACE_H = 3
SPENT_FIRST = 0  # the priority of tokens that outlived their lot


class Refused(Exception):  # noqa: N818  # an answer, not a fault
    """The documented refusal: its code, and the facts that the caller is told."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts


@dataclass(eq=False, slots=True)
class Lot:
    """Tokens of one grant. A wallet keeps its lots in the order of their age."""

    category: str
    granted: int
    priority: int
    effective_at: int
    expires_at: int | None
    available: int
    held: int = 0

    def is_expired(self, now: int) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def is_spendable(self, now: int) -> bool:
        return self.effective_at <= now and not self.is_expired(now)

    def row(self) -> tuple[object, ...]:
        """What must be in the database."""
        return (
            self.expires_at,
            self.category,
            self.granted,
            self.priority,
            self.available,
            self.held,
        )


Parts = list[tuple[Lot, int]]


@dataclass(eq=False, slots=True)
class Hold:
    """Tokens set aside, and from which lots; ``spent`` says which of them are gone."""

    wallet: Wallet
    reference: str
    amount: int
    deadline: int
    taken: Parts
    spent: Parts = field(default_factory=list)
    status: str = "PENDING"
    overrun: int = 0
    refunded: int = 0
    events: list[tuple[str, int]] = field(default_factory=list)
    id: uuid.UUID = field(default_factory=uuid.uuid4)  # until the real one is known

    @property
    def settled(self) -> int:
        return sum(part for _, part in self.spent)

    def row(self) -> tuple[object, ...]:
        """What must be in the database."""
        return self.deadline, self.status, self.amount, self.settled, self.overrun, self.refunded


@dataclass(eq=False, slots=True)
class Wallet:
    """One user's lots and holds."""

    lots: list[Lot] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    status: str = "ACTIVE"
    balance_max: int | None = None
    journal: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All tokens, spendable or not: what the largest balance limits."""
        return sum(lot.available + lot.held for lot in self.lots)

    def figures(self) -> tuple[int, int]:
        """What the wallet's row keeps: free and held tokens, whatever the time."""
        return sum(lot.available for lot in self.lots), sum(lot.held for lot in self.lots)

    def balance(self, now: int) -> tuple[int, int, int]:
        """Available, held and pending; what has expired is in none of them."""
        live = [lot for lot in self.lots if not lot.is_expired(now)]
        return (
            sum(lot.available for lot in live if lot.effective_at <= now),
            sum(lot.held for lot in self.lots),
            sum(lot.available for lot in live if lot.effective_at > now),
        )

    def grant(
        self,
        *,
        category: str,
        amount: int,
        priority: int,
        effective_at: int,
        expires_at: int | None,
        kind: str,
    ) -> Lot:
        lot = Lot(category, amount, priority, effective_at, expires_at, available=amount)
        self.lots.append(lot)
        self.journal[kind] += amount
        return lot

    def take_back(self, lot: Lot) -> int:
        """Reverse what is left of a grant; how much that was."""
        amount, lot.available = lot.available, 0
        self.journal["REVERSE"] += amount
        return amount

    def place_hold(self, *, amount: int, reference: str, deadline: int, now: int) -> Hold:
        if self.status != "ACTIVE":
            raise Refused(f"wallet_{self.status.lower()}")
        spendable, _, _ = self.balance(now)
        if spendable < amount:
            raise Refused("insufficient_tokens", needed=amount, available=spendable)
        if any(hold.reference == reference for hold in self.holds):
            raise Refused("integrity_error")
        taken = self._burn(amount, now)
        for lot, part in taken:
            lot.held += part
        hold = Hold(self, reference, amount, deadline, taken)
        self.journal["HOLD"] += amount
        self.holds.append(hold)
        return hold

    def settle(self, *, hold: Hold, cost: int, overrun: str, now: int) -> int:
        """Charge what work has cost; the charged tokens."""
        charged = cost if overrun == "refuse" else min(cost, hold.amount)
        if hold.status != "PENDING":
            raise Refused("hold_resolved", status=hold.status.lower())
        if not 0 <= charged <= hold.amount:
            raise Refused("integrity_error")
        self.close(hold=hold, status="SETTLED" if charged else "VOIDED", charged=charged, now=now)
        if overrun == "charge" and cost > charged:
            spendable, _, _ = self.balance(now)
            hold.overrun = sum(part for _, part in self._burn(min(cost - charged, spendable), now))
            hold.events.append(("OVERRUN", hold.overrun))
            self.journal["OVERRUN"] += hold.overrun
        return charged + hold.overrun

    def close(self, *, hold: Hold, status: str, charged: int, now: int) -> None:
        """End a pending hold: the tokens taken first are spent first, the others come back."""
        hold.status = status
        late, left = 0, charged
        for lot, part in hold.taken:
            spent = min(part, left)
            left -= spent
            lot.held -= part
            if spent:
                hold.spent.append((lot, spent))
            if lot.is_expired(now):
                late += part - spent
            else:
                lot.available += part - spent
        self.journal["SETTLE"] += charged
        self.journal["RELEASE"] += hold.amount - charged
        if late:
            self.journal["EXPIRE"] += late
            self._grant_grace(late, now=now, kind="REGRANT")

    def refund(self, *, hold: Hold, amount: int, now: int) -> None:
        """Give back spent tokens, the last spent first."""
        if self.status == "CLOSED":
            raise Refused("refund_refused", reason="wallet_closed")
        if hold.status != "SETTLED":
            raise Refused("refund_refused", reason="not_settled")
        if hold.refunded:
            raise Refused("refund_refused", reason="refunded")
        if not 1 <= amount <= hold.settled:
            raise Refused("refund_refused", reason="too_much")
        late, left = 0, amount
        for lot, spent in reversed(hold.spent):
            part = min(spent, left)
            left -= part
            if lot.is_expired(now):
                late += part
            else:
                lot.available += part
                self.journal["REFUND"] += part
        if late:
            self._grant_grace(late, now=now, kind="REFUND")
        hold.refunded = amount
        hold.events.append(("REFUNDED", amount))

    def set_status(self, *, step: str, writes_off: bool, now: int) -> None:
        """Freeze, unfreeze or close; what changes nothing is fine."""
        status = {"freeze": "FROZEN", "unfreeze": "ACTIVE", "close": "CLOSED"}[step]
        if self.status == status:
            return
        if self.status == "CLOSED":
            raise Refused("wallet_closed")
        if status == "CLOSED":
            available, held, pending = self.balance(now)
            if held or (available + pending and not writes_off):
                raise Refused("wallet_not_empty", available=available, held=held, pending=pending)
            self.expire_lots(now)
            for lot in self.lots:
                self.journal["DEBIT"] += lot.available
                lot.available = 0
        self.status = status

    def adjust(self, *, amount: int, now: int) -> None:
        """Give tokens by hand, or take some that could be spent."""
        if self.status == "CLOSED":
            raise Refused("wallet_closed")
        spendable, _, _ = self.balance(now)
        if spendable + amount < 0:
            raise Refused("adjustment_exceeds_balance", available=spendable)
        if amount < 0:
            self._burn(-amount, now)
            self.journal["DEBIT"] -= amount
            return
        if self.balance_max is not None and self.total + amount > self.balance_max:
            raise Refused("exceeds_max_balance", balance=self.total, balance_max=self.balance_max)
        self.grant(
            category="ADJUSTED",
            amount=amount,
            priority=50,
            effective_at=now,
            expires_at=None,
            kind="CREDIT",
        )

    def expire_lots(self, now: int) -> int:
        """Let overdue lots lapse, except for what is held; the lapsed tokens."""
        overdue = [lot for lot in self.lots if lot.is_expired(now)]
        lapsed = sum(lot.available for lot in overdue)
        for lot in overdue:
            lot.available = 0
        self.journal["EXPIRE"] += lapsed
        return lapsed

    def _burn(self, amount: int, now: int) -> Parts:
        """Take spendable tokens: by priority, then earliest expiry, then oldest."""
        never = float("inf")
        order = sorted(
            (lot for lot in self.lots if lot.is_spendable(now)),
            key=lambda lot: (lot.priority, never if lot.expires_at is None else lot.expires_at),
        )
        parts: Parts = []
        for lot in order:
            part = min(lot.available, amount)
            if part:
                lot.available -= part
                amount -= part
                parts.append((lot, part))
        assert not amount, "the caller asks for what is there"
        return parts

    def _grant_grace(self, amount: int, *, now: int, kind: str) -> None:
        self.grant(
            category="REFUND",
            amount=amount,
            priority=SPENT_FIRST,
            effective_at=now,
            expires_at=now + GRACE_H,
            kind=kind,
        )
