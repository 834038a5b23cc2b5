"""Requests with retries that can never do a thing twice."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from facefusion_platform_client._signing import RequestSigner
from facefusion_platform_client.errors import ApiError, NoAnswerError, api_error

KEY_HEADER: Final = "Idempotency-Key"
USER_AGENT: Final = "facefusion-platform-client/1.0.0"
_NOT_MODIFIED: Final = 304
_TOO_MANY: Final = 429
_SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_REPEATABLE_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
# Nothing of the request has left this machine.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which pauses a request is repeated.

    Attributes:
        attempts: of one call in all; 1 never repeats.
        base_s: upper bound of the first pause; it doubles, and a random part of it is waited.
        pause_max_s: no pause is longer. A server that asks for more gets no repeat.
    """

    attempts: int = 5
    base_s: float = 0.5
    pause_max_s: float = 30.0

    def pause_s(self, *, attempt: int, retry_after_s: float | None) -> float | None:
        """Seconds before the next attempt; None when there is to be none."""
        if attempt >= self.attempts:
            return None
        jittered = random.uniform(0, min(self.pause_max_s, self.base_s * 2 ** (attempt - 1)))  # noqa: S311  # spreads load
        if retry_after_s is None:
            return jittered
        return None if retry_after_s > self.pause_max_s else retry_after_s + min(jittered, 1.0)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key, sent as a bearer token, and the secret that signs where the key asks for it."""

    api_key: str = field(repr=False)
    signing_secret: str | None = field(default=None, repr=False)


class Transport:
    """Sends requests to one server with one key.

    Args:
        base_url: of the server, with or without ``/api/v1``.
        credentials: what the requests bring.
        language: of texts in answers, such as ``en`` or ``zh-hans``.
        timeout_s: for connecting, and between two blocks of an answer.
        retry: how often what can safely be repeated is repeated.
        http: a client of your own, for proxies or certificates; it is not closed.
    """

    def __init__(
        self,
        *,
        base_url: str,
        credentials: Credentials,
        language: str,
        timeout_s: float,
        retry: RetryPolicy,
        http: httpx.Client | None,
    ) -> None:
        self._base_url = base_url.rstrip("/").removesuffix("/api/v1") + "/api/v1/"
        self._headers = {
            "Authorization": f"Bearer {credentials.api_key}",
            "Accept-Language": language,
            "User-Agent": USER_AGENT,
        }
        self._timeout_s = timeout_s
        self._retry = retry
        self._owns_http = http is None
        self._http = http or httpx.Client()
        secret = credentials.signing_secret
        self._signer = None if secret is None else RequestSigner(secret)

    def close(self) -> None:
        """Close the connections."""
        if self._owns_http:
            self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        idempotency_key: str | None = None,
        is_repeatable: bool | None = None,
        wait_s: float = 0.0,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        """Send a request until there is an answer that counts.

        Args:
            method: of HTTP.
            path: below ``/api/v1/``.
            idempotency_key: makes a POST repeatable.
            is_repeatable: whether twice is as good as once; by default as HTTP says, or with a key.
            wait_s: how long the server may think before it answers.
            headers: further ones.
            **request: ``params``, ``json``, ``content`` or ``files`` as httpx takes them.

        Raises:
            ApiError: the server refused.
            NoAnswerError: no answer came.
        """
        merged = {**self._headers, **(headers or {})}
        if idempotency_key is not None:
            merged[KEY_HEADER] = idempotency_key
        if is_repeatable is None:
            is_repeatable = method in _REPEATABLE_METHODS or idempotency_key is not None
        timeout = httpx.Timeout(self._timeout_s, read=self._timeout_s + wait_s)
        # Uploads move no tokens, and a signature would want their bytes in memory.
        if self._signer is not None and method not in _SAFE_METHODS and "files" not in request:
            request["auth"] = self._signer
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._http.request(
                    method, self._base_url + path, headers=merged, timeout=timeout, **request
                )
            except httpx.TransportError as error:
                is_safe = is_repeatable or isinstance(error, _NOT_SENT)
                pause_s = self._retry.pause_s(attempt=attempt, retry_after_s=None)
                if not is_safe or pause_s is None:
                    raise NoAnswerError(
                        f"{method} {path}: {error}",
                        is_outcome_unknown=not isinstance(error, _NOT_SENT),
                        idempotency_key=idempotency_key,
                    ) from error
            else:
                if answer.is_success or answer.is_redirect or answer.status_code == _NOT_MODIFIED:
                    return answer
                pause_s = self._pause_after(
                    problem_of(answer), attempt=attempt, is_repeatable=is_repeatable
                )
            log.info("Sending %s %s again in %.1f s.", method, path, pause_s)
            _rewind(request.get("files"))
            time.sleep(pause_s)

    def _pause_after(self, problem: ApiError, *, attempt: int, is_repeatable: bool) -> float:
        """Seconds until the request may be sent again.

        Raises:
            ApiError: ``problem``, where it must not be, or was sent often enough.
        """
        # Nothing was done where there were too many requests.
        is_safe = (is_repeatable and problem.retryable) or problem.status == _TOO_MANY
        pause_s = self._retry.pause_s(attempt=attempt, retry_after_s=problem.retry_after_s)
        if not is_safe or pause_s is None:
            raise problem
        return pause_s

    def json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """``send``, and the object in the answer."""
        body: dict[str, Any] = self.send(method, path, **request).json()
        return body

    def pages(self, path: str, *, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The items of every page of a list."""
        query = {name: value for name, value in params.items() if value is not None}
        while True:
            page = self.json("GET", path, params=query)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    @contextmanager
    def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None, read_s: float | None = None
    ) -> Iterator[httpx.Response]:
        """One GET whose body is read piece by piece; follows to a bucket without the key.

        Raises:
            ApiError: the server refused.
            NoAnswerError: no answer came, or it broke off.
        """
        merged = {**self._headers, **(headers or {})}
        timeout = httpx.Timeout(self._timeout_s, read=read_s or self._timeout_s)
        try:
            with self._http.stream(
                "GET",
                self._base_url + path,
                headers=merged,
                timeout=timeout,
                follow_redirects=True,
            ) as answer:
                if not answer.is_success:
                    answer.read()
                    raise problem_of(answer)
                yield answer
        except httpx.TransportError as error:
            raise NoAnswerError(
                f"GET {path}: {error}", is_outcome_unknown=False, idempotency_key=None
            ) from error

    def send_bytes(self, method: str, url: str, *, headers: Mapping[str, str], file: Path) -> None:
        """Send a file to an address that was given for it; the key stays here.

        Raises:
            ApiError: that server refused.
            NoAnswerError: no answer came.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                with file.open("rb") as stream:
                    answer = self._http.request(
                        method, url, headers=dict(headers), content=stream, timeout=self._timeout_s
                    )
            except httpx.TransportError as error:
                failure: ApiError | NoAnswerError = NoAnswerError(
                    f"{method} {url}: {error}", is_outcome_unknown=False, idempotency_key=None
                )
                is_retryable, retry_after_s = True, None
            else:
                if answer.is_success:
                    return
                failure = problem_of(answer)
                is_retryable, retry_after_s = failure.retryable, failure.retry_after_s
            pause_s = self._retry.pause_s(attempt=attempt, retry_after_s=retry_after_s)
            if not is_retryable or pause_s is None:
                raise failure
            time.sleep(pause_s)


def new_key() -> str:
    """A fresh idempotency key."""
    return str(uuid.uuid4())


def problem_of(answer: httpx.Response) -> ApiError:
    """The exception for a refusal, whoever between us and the server has written it."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        # A proxy's page: no code of ours, so its status alone says whether to try again.
        body = {
            "detail": answer.text[:200],
            "retryable": answer.status_code in {_TOO_MANY, 502, 503, 504},
        }
    retry_after = answer.headers.get("Retry-After", "")
    return api_error(
        status=answer.status_code,
        body=body,
        retry_after_s=float(retry_after) if retry_after.isdecimal() else None,
    )


def _rewind(files: Any) -> None:
    for _name, stream in (files or {}).values():
        stream.seek(0)
