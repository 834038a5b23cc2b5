"""The journey: recharge, upload, quote, swap, download, statement; every step one HTTP call."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from facefusion_site.demo.people import Person

AMOUNT: Final = 100
UNKNOWN_USER: Final = "nobody"
JOB_PATIENCE_S: Final = 120.0
POLL_S: Final = 0.25
# Recharge, hold and settle of this run.
STATEMENT_LINES: Final = 3
ENDED: Final = frozenset({"succeeded", "failed"})


class JourneyError(Exception):
    """A step did not go as promised."""


class Journey:
    """Plays the operator and the user against a running server, telling each step.

    Args:
        base_url: where the web server answers.
        operator: who recharges.
        user: who swaps; credited first.
        other: a second user to credit.
        tell: prints one line.
        check: raises when a server process has died; called while waiting.
    """

    def __init__(
        self,
        *,
        base_url: str,
        operator: Person,
        user: Person,
        other: Person,
        tell: Callable[[str], None],
        check: Callable[[], None],
    ) -> None:
        self._user, self._other = user, other
        self._tell, self._check = tell, check
        self._as_operator = self._client(base_url, operator)
        self._as_user = self._client(base_url, user)
        self._step = 0

    def run(self, *, source: Path, target: Path, result: Path) -> Path:
        """Put the face of ``source`` on ``target``.

        Returns:
            Where the picture is: ``result`` with the suffix of its type.

        Raises:
            JourneyError: a step did not go as promised.
        """
        with self._as_operator, self._as_user:
            self._recharge()
            self._attest()
            source_id, target_id = self._upload(source), self._upload(target)
            quote = self._quote(source_id, target_id)
            job = self._wait(self._submit(quote["id"]))
            picture = self._download(job, result)
            self._statement(job)
        return picture

    def _recharge(self) -> None:
        refs = [self._user.user_ref, self._other.user_ref, UNKNOWN_USER]
        self._headline(f"The operator recharges {', '.join(refs)} with {AMOUNT} tokens each")
        batch = self._call(
            self._as_operator,
            "POST",
            "recharge-batches",
            json={
                "users": refs,
                "amount": AMOUNT,
                "mode": "soft_fail",
                "operator": "demo.desk",
                "reason": "Welcome tokens",
            },
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )
        self._tell(
            f"   {batch['status']}: {batch['applied_count']} of {batch['lines_count']} lines, "
            f"{batch['tokens_total']} tokens, failed_users {batch['failed_users']}"
        )
        self._demand(batch["failed_users"] == [UNKNOWN_USER], "exactly the unknown user fails")

    def _attest(self) -> None:
        self._headline(f"{self._user.user_ref} vouches for the faces of the source pictures")
        text = self._call(self._as_user, "GET", "consents/text")
        consent = self._call(
            self._as_user,
            "POST",
            "consents",
            json={"kind": "self", "text_version": text["version"]},
        )
        self._tell(
            f"   text {consent['text_version']} of SHA-256 {consent['text_sha256'][:16]}…, "
            "for every upload of the account, until it is revoked"
        )

    def _upload(self, file: Path) -> str:
        self._headline(f"{self._user.user_ref} uploads {file.name}")
        with file.open("rb") as stream:
            asset = self._call(self._as_user, "POST", "assets", files={"file": (file.name, stream)})
        self._tell(f"   {asset['width']} x {asset['height']} px, SHA-256 {asset['sha256'][:16]}…")
        return str(asset["id"])

    def _quote(self, source_id: str, target_id: str) -> dict[str, Any]:
        self._headline(f"{self._user.user_ref} asks what the swap costs")
        quote = self._call(
            self._as_user,
            "POST",
            "quotes",
            json={
                "operation": "image_swap",
                "source_asset_id": source_id,
                "target_asset_id": target_id,
            },
        )
        self._tell(
            f"   {quote['tokens']} token, promised until {quote['expires_at']}; "
            f"{quote['balance']['after']} would be left"
        )
        return quote

    def _submit(self, quote_id: str) -> dict[str, Any]:
        self._headline(f"{self._user.user_ref} submits the job")
        return self._call(
            self._as_user,
            "POST",
            "jobs",
            json={"quote_id": quote_id},
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )

    def _wait(self, job: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + JOB_PATIENCE_S
        seen = None
        while True:
            progress = (job["state"], job["progress"]["stage"], job["progress"]["percent"])
            if progress != seen:
                state, stage, percent = seen = progress
                self._tell(f"   {state:<10} {percent:>3} %  {stage or ''}".rstrip())
            if job["state"] in ENDED:
                break
            self._check()
            self._demand(time.monotonic() < deadline, f"the job ends in {JOB_PATIENCE_S:.0f} s")
            time.sleep(POLL_S)
            job = self._call(self._as_user, "GET", f"jobs/{job['id']}", is_quiet=True)
        self._demand(job["state"] == "succeeded", f"the job succeeds, not {job['error']}")
        for face in job["faces"]:
            self._tell(
                f"   likeness to the source: {face['similarity_before']:.2f} before, "
                f"{face['similarity_after']:.2f} after (0.36 counts as the same person)"
            )
        return job

    def _download(self, job: dict[str, Any], result: Path) -> Path:
        self._headline(f"{self._user.user_ref} downloads the picture")
        reply = self._as_user.get(f"jobs/{job['id']}/result")
        self._demand(reply.is_success, f"the download works: {reply.text[:200]}")
        suffix = reply.headers["Content-Type"].removeprefix("image/").replace("jpeg", "jpg")
        picture = result.with_suffix(f".{suffix}")
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(reply.content)
        self._tell(f"   {len(reply.content):,} bytes in {picture}")
        return picture

    def _statement(self, job: dict[str, Any]) -> None:
        self._headline(f"The statement of {self._user.user_ref}")
        page = self._call(self._as_user, "GET", "statement", params={"limit": STATEMENT_LINES})
        for line in reversed(page["items"]):
            self._tell(
                f"   {line['id']:<8} {line['kind']:<9} {line['available_change']:>+5}"
                f"  available {line['available_after']:>5}  held {line['held_after']:>3}"
                f"  {line['reference']}"
            )
        receipt = job["receipt"]
        self._tell(
            f"   receipt of the job: held {receipt['held']}, settled {receipt['settled']}, "
            f"refunded {receipt['refunded']}"
        )
        kinds = [line["kind"] for line in reversed(page["items"])]
        self._demand(kinds == ["recharge", "hold", "settle"], f"recharge, hold, settle: {kinds}")

    def _call(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        *,
        is_quiet: bool = False,
        **request: Any,
    ) -> dict[str, Any]:
        reply = client.request(method, path, **request)
        if not is_quiet:
            self._tell(f"   {method} {reply.request.url.path} -> {reply.status_code}")
        self._demand(reply.is_success, f"{method} {path} works: {reply.text[:500]}")
        body: dict[str, Any] = reply.json()
        return body

    def _headline(self, text: str) -> None:
        self._step += 1
        self._tell(f"{self._step}. {text}")

    @staticmethod
    def _demand(is_true: bool, promise: str) -> None:  # noqa: FBT001  # reads like assert
        if not is_true:
            raise JourneyError(f"The demo expected that {promise}")

    @staticmethod
    def _client(base_url: str, person: Person) -> httpx.Client:
        return httpx.Client(
            base_url=f"{base_url}/api/v1/",
            headers={"Authorization": f"Bearer {person.api_key}"},
            timeout=30.0,
        )
