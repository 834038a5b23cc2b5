"""Bulk recharges, for keys of operators."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from facefusion_platform_client._building import build
from facefusion_platform_client._transport import Transport, new_key
from facefusion_platform_client.errors import WaitTimeoutError
from facefusion_platform_client.models import RechargeBatch, RechargeLine, RechargePreview

SOFT_FAIL: Final = "soft_fail"
ATOMIC: Final = "atomic"
_POLL_S: Final = 1.0


class Recharges:
    """Credits for many accounts in one request, once and on record."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(  # noqa: PLR0913  # the members of the body, by name only
        self,
        *,
        reason: str,
        users: Sequence[str] | None = None,
        amount: int | None = None,
        lines: Sequence[Mapping[str, Any]] | None = None,
        mode: str = SOFT_FAIL,
        terms: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> RechargeBatch:
        """Credit ``amount`` to each of ``users``, or what each of ``lines`` says.

        Args:
            reason: kept in the audit trail.
            users: user_refs; goes with ``amount``.
            amount: whole tokens for each of them.
            lines: mappings with ``user``, ``amount`` and, if you like, ``key``.
            mode: ``soft_fail`` lets good lines through, ``atomic`` all or none.
            terms: ``operator``, ``funding``, ``ticket``, ``category``, ``priority``,
                ``effective_at``, ``expires_at``.
            idempotency_key: your name of this recharge; a random one by default.

        Returns:
            The batch. A large one goes on by itself, see ``wait``; ``failures`` tells the first
            lines that failed, ``failures()`` all of them.

        Raises:
            InvalidRequestError: an atomic batch has bad lines; ``errors`` names them.
            ApiError: anything else that is refused.
            NoAnswerError: no answer came; the same key finds out.
        """
        body = self._transport.json(
            "POST",
            "recharge-batches",
            json=_request(reason, users, amount, lines, mode, terms),
            idempotency_key=idempotency_key or new_key(),
            wait_s=60.0,
        )
        return build(RechargeBatch, body)

    def preview(
        self,
        *,
        reason: str,
        users: Sequence[str] | None = None,
        amount: int | None = None,
        lines: Sequence[Mapping[str, Any]] | None = None,
        mode: str = SOFT_FAIL,
    ) -> RechargePreview:
        """What the same recharge would do at this moment; nothing changes."""
        body = self._transport.json(
            "POST",
            "recharge-batches:preview",
            json=_request(reason, users, amount, lines, mode, None),
            is_repeatable=True,
            wait_s=60.0,
        )
        return build(RechargePreview, body)

    def get(self, batch_id: str) -> RechargeBatch:
        """A batch as it is now.

        Raises:
            NotFoundError: there is none with this id.
        """
        return build(RechargeBatch, self._transport.json("GET", f"recharge-batches/{batch_id}"))

    def list(self, *, status: str | None = None) -> Iterator[RechargeBatch]:
        """Batches, newest first; pages are fetched as you go."""
        items = self._transport.pages("recharge-batches", params={"status": status})
        return (build(RechargeBatch, item) for item in items)

    def wait(self, batch_id: str, *, timeout_s: float = 600.0) -> RechargeBatch:
        """Wait until a batch has ended.

        Raises:
            WaitTimeoutError: it has not ended in time; it may wait for an approval.
        """
        deadline = time.monotonic() + timeout_s
        while not (batch := self.get(batch_id)).has_ended:
            if time.monotonic() > deadline:
                raise WaitTimeoutError(f"Batch {batch_id} is {batch.status} after {timeout_s:g} s.")
            time.sleep(_POLL_S)
        return batch

    def lines(self, batch_id: str, *, outcome: str | None = None) -> Iterator[RechargeLine]:
        """Lines in the order of the request, all or those with one code."""
        items = self._transport.pages(
            f"recharge-batches/{batch_id}/lines", params={"outcome": outcome, "limit": 200}
        )
        return (build(RechargeLine, item) for item in items)

    def failures(self, batch_id: str) -> Iterator[RechargeLine]:
        """Every line that failed, with its code."""
        return self.lines(batch_id, outcome="failed")

    def retry_failed(self, batch_id: str, *, idempotency_key: str | None = None) -> RechargeBatch:
        """Send the failed lines of a batch again, as a batch of its own; once per batch."""
        body = self._transport.json(
            "POST",
            f"recharge-batches/{batch_id}:retry-failed",
            json={},
            idempotency_key=idempotency_key or new_key(),
            wait_s=60.0,
        )
        return build(RechargeBatch, body)

    def reverse(
        self,
        batch_id: str,
        *,
        reason: str,
        mode: str = SOFT_FAIL,
        policy: str = "refuse",
        rows: Sequence[int] | None = None,
        idempotency_key: str | None = None,
    ) -> RechargeBatch:
        """Take back what a batch has granted, as a batch of its own; each row at most once.

        Args:
            batch_id: whose grants.
            reason: kept in the audit trail.
            mode: as of ``create``.
            policy: where tokens were used: ``refuse`` the row, or take back the ``unused_part``.
            rows: ``row_no`` of each; all applied ones by default.
            idempotency_key: your name of this reversal.
        """
        request: dict[str, Any] = {"mode": mode, "reason": reason, "policy": policy}
        if rows is not None:
            request["rows"] = list(rows)
        body = self._transport.json(
            "POST",
            f"recharge-batches/{batch_id}:reverse",
            json=request,
            idempotency_key=idempotency_key or new_key(),
            wait_s=60.0,
        )
        return build(RechargeBatch, body)


def _request(
    reason: str,
    users: Sequence[str] | None,
    amount: int | None,
    lines: Sequence[Mapping[str, Any]] | None,
    mode: str,
    terms: Mapping[str, Any] | None,
) -> dict[str, Any]:
    given = {
        "users": None if users is None else list(users),
        "amount": amount,
        "lines": None if lines is None else [dict(line) for line in lines],
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    return {"reason": reason, "mode": mode, **wanted, **(terms or {})}
