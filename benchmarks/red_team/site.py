"""The API as accounts use it, and the pictures they send."""

from __future__ import annotations

import io
import itertools
import threading
import uuid
from pathlib import Path
from typing import Any, Final

import httpx
from PIL import Image, ImageEnhance

from benchmarks.red_team.people import Account

SAMPLES: Final = Path(__file__).resolve().parents[2] / "samples"
# Refusals that say that a rule has acted.
STOPPED_CODES: Final = frozenset(
    {"api_frozen", "login_frozen", "upload_frozen", "wallet_frozen", "account_frozen"}
)
_SIDE_PX: Final = 320


class Site:
    """Sends requests of accounts, each from its own network, and counts them. For threads."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._local = threading.local()
        self._counter = itertools.count()

    @property
    def requests_count(self) -> int:
        """How many were sent."""
        return int(repr(self._counter)[len("count(") : -1])

    def send(
        self,
        account: Account | None,
        method: str,
        path: str,
        *,
        network: str | None = None,
        **more: Any,
    ) -> httpx.Response:
        """One request below ``/api/v1``; ``network`` is where it seems to come from."""
        next(self._counter)
        if network is None:
            number = 0 if account is None else account.user_id
            network = f"10.{number // 256 % 256}.{number % 256}.9"
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": network}
        if account is not None:
            headers["Authorization"] = f"Bearer {account.key}"
        if method == "POST" and path.startswith("/jobs"):
            headers["Idempotency-Key"] = uuid.uuid4().hex
        return self._client().request(method, f"/api/v1{path}", headers=headers, **more)

    def upload(self, account: Account, data: bytes) -> str:
        """The id of a new upload.

        Raises:
            RefusedError: it was refused.
        """
        files = {"file": ("picture.jpg", data)}
        return str(checked(self.send(account, "POST", "/assets", files=files))["id"])

    def quote(self, account: Account, *, source_id: str, target_id: str) -> str:
        """The id of a quote for a swap of two uploads.

        Raises:
            RefusedError: it was refused.
        """
        body = {
            "operation": "image_swap",
            "source_asset_id": source_id,
            "target_asset_id": target_id,
        }
        return str(checked(self.send(account, "POST", "/quotes", json=body))["id"])

    def submit(self, account: Account, *, source_id: str, target_id: str) -> httpx.Response:
        """Ask for a swap of two uploads; what the last of the two requests answered.

        Raises:
            RefusedError: the quote was refused.
        """
        quote_id = self.quote(account, source_id=source_id, target_id=target_id)
        return self.send(account, "POST", "/jobs", json={"quote_id": quote_id})

    def _client(self) -> httpx.Client:
        if not hasattr(self._local, "client"):
            self._local.client = httpx.Client(base_url=self._base_url, timeout=60.0)
        client: httpx.Client = self._local.client
        return client


class RefusedError(Exception):
    """A request that a step needs was refused."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(f"{answer.status_code} {answer.text}")
        self.answer = answer


def checked(answer: httpx.Response) -> Any:
    """The body of an answer.

    Raises:
        RefusedError: it is a refusal.
    """
    if answer.is_error:
        raise RefusedError(answer)
    return answer.json()


def is_stopped(answer: httpx.Response) -> bool:
    """Whether a rule's action refused the request."""
    return answer.status_code == httpx.codes.FORBIDDEN and answer.json()["code"] in STOPPED_CODES


def portrait(name: str, *, variant: int) -> bytes:
    """A sample without colour as a JPEG; each variant is another file with the same face.

    Without colour, because the stand-in classifier objects to red.
    """
    with Image.open(SAMPLES / name) as picture:
        grey = picture.convert("L").convert("RGB")
    grey.thumbnail((_SIDE_PX, _SIDE_PX))
    trim = variant % 7
    width, height = grey.size
    cut = grey.crop((trim, trim // 2, width - trim, height))
    out = io.BytesIO()
    light = ImageEnhance.Brightness(cut).enhance(0.9 + 0.02 * (variant % 10))
    light.save(out, "JPEG", quality=80 + variant % 15)
    return out.getvalue()


def red(*, variant: int) -> bytes:
    """What the stand-in classifier objects to."""
    out = io.BytesIO()
    Image.new("RGB", (200, 200 + variant), (220, 10, 10)).save(out, "JPEG")
    return out.getvalue()
