"""A customer's program: it repeats what was not answered, always under the same key."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import httpx

ANSWER_WAIT_S = 120
END_WAIT_S = 180
WAIT = {"Prefer": "wait=5"}
PAUSE_S = 0.1
_AGAIN = {429, 500, 502, 503, 504}


class Customer:
    """Talks HTTP only. Several threads may use it."""

    def __init__(self, *, url: str, key: str) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=10,
            # A killed server leaves dead connections behind; a new one each time finds out at once.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._lock = threading.Lock()
        self.repeats = 0

    def upload(self, data: bytes) -> str:
        """The id of the new upload."""
        answer = self._send("POST", "/assets", files={"file": ("photo", data)})
        return str(answer["id"])

    def quote(self, source: str, target: str) -> str:
        """The id of a new quote; another one after a repeat does not matter."""
        body = {
            "operation": "image_swap",
            "source_asset_id": source,
            "target_asset_id": target,
        }
        return str(self._send("POST", "/quotes", json=body)["id"])

    def submit(self, quote_id: str, key: str) -> uuid.UUID:
        """Redeem the quote; the id of the job."""
        answer = self._send(
            "POST", "/jobs", json={"quote_id": quote_id}, headers={"Idempotency-Key": key}
        )
        return uuid.UUID(answer["id"])

    def await_end(self, job_id: uuid.UUID) -> None:
        """Ask until the job has ended, however long it takes."""
        deadline = time.monotonic() + END_WAIT_S
        while not self._send("GET", f"/jobs/{job_id}", headers=WAIT)["finished_at"]:
            assert time.monotonic() < deadline, f"the job {job_id} does not end"

    def result(self, job_id: uuid.UUID) -> bytes:
        """The bytes of the result."""
        return self._http.get(f"/jobs/{job_id}/result").raise_for_status().content

    def _send(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Until there is an answer.

        Raises:
            AssertionError: the request was refused, or nobody answers.
        """
        deadline = time.monotonic() + ANSWER_WAIT_S
        while True:
            assert time.monotonic() < deadline, f"nobody answers to {method} {path}"
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code not in _AGAIN:
                assert answer.is_success, answer.text
                content: dict[str, Any] = answer.json()
                return content
            with self._lock:
                self.repeats += 1
            time.sleep(PAUSE_S)
