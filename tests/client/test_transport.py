"""What the client does when the way to the server is bad."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any

import facefusion_platform_client as sdk
import pytest
from facefusion_platform_client.models import Output

from tests import outside

QUICK = sdk.RetryPolicy(attempts=4, base_s=0.01, pause_max_s=5.0)
BALANCE = b'{"available": 3, "held": 1, "total": 4}'
CLOSE = "Connection: close\r\nContent-Type: application/json\r\n"
JOB: dict[str, Any] = {
    "id": "9d5c1b0e-8f53-4a34-9f7a-0a4a4f0b6c11",
    "state": "succeeded",
    "operation": "image_swap",
    "quote_id": "a",
    "source_asset_id": "b",
    "target_asset_id": "c",
    "attempt": 1,
}


def problem(code: str, *, retryable: bool) -> bytes:
    return (
        f'{{"code": "{code}", "retryable": {str(retryable).lower()}, "charged_tokens": 0}}'.encode()
    )


def in_turn(*talks: outside.Talk) -> outside.Talk:
    """Each request is answered by the next; the last one answers the rest."""
    left = list(talks)

    def talk(peer, request: bytes) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(peer, request)

    return talk


def hang_up(_peer, _request: bytes) -> None:
    """The request was read, and nobody knows what became of it."""


def refuse(status: str, code: str, *, retryable: bool, headers: str = "") -> outside.Talk:
    return outside.answer(
        problem(code, retryable=retryable), status=status, headers=CLOSE + headers
    )


OK = outside.answer(BALANCE, headers=CLOSE)


def client_of(site: outside.Site) -> sdk.Client:
    return sdk.Client(site.url("", scheme="http"), "ffk_live_x", retry=QUICK, timeout_s=5)


def keys(site: outside.Site) -> list[bytes]:
    return [
        found[1]
        for request in site.requests
        if (found := re.search(rb"(?im)^idempotency-key: (\S+)", request))
    ]


def test_reading_survives_broken_connections_and_proxies(tmp_path: Path):
    busy = outside.answer(b"<h1>Bad gateway</h1>", status="502 Bad Gateway", headers=CLOSE)
    with (
        outside.serve(tmp_path, in_turn(hang_up, busy, OK), is_tls=False) as site,
        client_of(site) as client,
    ):
        assert client.wallet.balance().available == 3
    assert len(site.requests) == 3
    assert b"authorization: bearer ffk_live_x" in site.requests[0].lower()


def test_a_write_is_repeated_with_the_same_key(tmp_path: Path):
    late = refuse("503 Unavailable", "service_unavailable", retryable=True)
    refused = refuse("402 Payment Required", "insufficient_tokens", retryable=False)
    with (
        outside.serve(tmp_path, in_turn(hang_up, late, refused), is_tls=False) as site,
        client_of(site) as client,
        pytest.raises(sdk.InsufficientTokensError),
    ):
        client.jobs.create("quote")
    assert len(keys(site)) == 3
    assert len(set(keys(site))) == 1


def test_an_upload_whose_outcome_is_unknown_is_not_repeated(tmp_path: Path):
    (tmp_path / "face.jpg").write_bytes(b"face")
    with (
        outside.serve(tmp_path, hang_up, is_tls=False) as site,
        client_of(site) as client,
        pytest.raises(sdk.NoAnswerError) as caught,
    ):
        client.assets.upload(tmp_path / "face.jpg")
    assert caught.value.is_outcome_unknown
    assert len(site.requests) == 1


def test_an_upload_that_was_not_counted_is_repeated_whole(tmp_path: Path):
    (tmp_path / "face.jpg").write_bytes(b"the bytes of a face")
    busy = refuse("429 Too Many", "rate_limited", retryable=True, headers="Retry-After: 1\r\n")
    refused = refuse("422 Unprocessable", "unreadable_image", retryable=False)
    started = time.monotonic()
    with (
        outside.serve(tmp_path, in_turn(busy, refused), is_tls=False) as site,
        client_of(site) as client,
        pytest.raises(sdk.InvalidRequestError),
    ):
        client.assets.upload(tmp_path / "face.jpg")
    assert time.monotonic() - started >= 1
    lengths = [re.search(rb"(?im)^content-length: (\d+)", it) for it in site.requests]
    first, second = (int(found[1]) for found in lengths if found)
    assert first == second > len(b"the bytes of a face")


def test_a_longer_wait_than_the_policy_allows_is_left_to_the_caller(tmp_path: Path):
    busy = refuse("429 Too Many", "rate_limited", retryable=True, headers="Retry-After: 60\r\n")
    with (
        outside.serve(tmp_path, busy, is_tls=False) as site,
        client_of(site) as client,
        pytest.raises(sdk.RateLimitedError) as caught,
    ):
        client.wallet.balance()
    assert caught.value.retry_after_s == 60
    assert len(site.requests) == 1


def test_attempts_end(tmp_path: Path):
    with (
        outside.serve(tmp_path, hang_up, is_tls=False) as site,
        client_of(site) as client,
        pytest.raises(sdk.NoAnswerError) as caught,
    ):
        client.jobs.create("quote", idempotency_key="order-9")
    assert len(site.requests) == QUICK.attempts
    assert (caught.value.is_outcome_unknown, caught.value.idempotency_key) == (True, "order-9")


def test_nobody_listening_is_a_known_outcome():
    client = sdk.Client("http://127.0.0.1:1", "ffk_live_x", retry=QUICK)
    with client, pytest.raises(sdk.NoAnswerError) as caught:
        client.wallet.balance()
    assert not caught.value.is_outcome_unknown


def test_a_damaged_download_leaves_no_file(tmp_path: Path):
    sent, promised = b"half a picture", hashlib.sha256(b"a picture").hexdigest()
    job = sdk.Job(
        **JOB,
        progress=None,  # type: ignore[arg-type]
        receipt=None,  # type: ignore[arg-type]
        created_at=None,  # type: ignore[arg-type]
        output=Output("", promised, 1, 1, len(sent), "image/jpeg"),
    )
    with (
        outside.serve(tmp_path, outside.answer(sent, headers=CLOSE), is_tls=False) as site,
        client_of(site) as client,
        pytest.raises(sdk.DamagedDownloadError),
    ):
        client.jobs.download(job, tmp_path / "result.jpg")
    assert not list(tmp_path.glob("result*"))


def test_the_key_stays_home_when_bytes_go_to_a_bucket(tmp_path: Path):
    (tmp_path / "face.jpg").write_bytes(b"face")
    with outside.serve(tmp_path, outside.answer(headers=CLOSE), is_tls=False) as bucket:
        where = bucket.url("/b", host="127.0.0.1", scheme="http")
        opened = (
            f'{{"id": "1", "upload": {{"method": "PUT", "url": "{where}",'
            '"headers": {"x-announced": "yes"}}}'
        ).encode()
        refused = refuse("422 Unprocessable", "unreadable_image", retryable=False)
        talk = in_turn(outside.answer(opened, headers=CLOSE), refused)
        with (
            outside.serve(tmp_path, talk, is_tls=False) as site,
            client_of(site) as client,
            pytest.raises(sdk.InvalidRequestError),
        ):
            client.assets.upload_large(tmp_path / "face.jpg")
    (request,) = bucket.requests
    assert b"x-announced: yes" in request.lower()
    assert b"ffk_live_x" not in request
