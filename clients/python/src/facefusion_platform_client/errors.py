"""What can go wrong, as exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ClientError(Exception):
    """Base of everything this package raises on purpose."""


class NoAnswerError(ClientError):
    """No answer came, also after the retries.

    Attributes:
        is_outcome_unknown: True where the server may have done what was asked. Repeat the call with
            the same idempotency key to find out.
        idempotency_key: of the request, where it had one.
    """

    def __init__(
        self, message: str, *, is_outcome_unknown: bool, idempotency_key: str | None
    ) -> None:
        super().__init__(message)
        self.is_outcome_unknown = is_outcome_unknown
        self.idempotency_key = idempotency_key


class ApiError(ClientError):
    """The server refused: an RFC 9457 problem.

    Attributes:
        status: of HTTP.
        code: stable, for programs.
        title: the code in words.
        detail: what happened this time, in the client's language.
        param: the field or header at fault, if one is.
        errors: several faults, each with ``pointer``, ``code`` and ``detail``.
        request_id: names the request to the operator.
        retryable: whether the same request can succeed later.
        charged_tokens: what the refused request cost.
        retry_after_s: seconds after which to try again, if the server said so.
        body: the whole problem, with further members.
    """

    def __init__(
        self, *, status: int, body: Mapping[str, Any], retry_after_s: float | None = None
    ) -> None:
        self.status = status
        self.body = dict(body)
        self.code = str(body.get("code", "unknown"))
        self.title = str(body.get("title", ""))
        self.detail = str(body.get("detail", ""))
        self.param: str | None = body.get("param")
        self.errors: Sequence[Mapping[str, Any]] = body.get("errors", ())
        self.request_id = str(body.get("request_id", ""))
        self.retryable = bool(body.get("retryable", False))
        self.charged_tokens = int(body.get("charged_tokens", 0))
        self.retry_after_s = retry_after_s
        super().__init__(f"{status} {self.code}: {self.detail or self.title}")


class InvalidRequestError(ApiError):
    """400 or 422: the request is wrong; ``errors`` and ``param`` say where."""


class NotAuthenticatedError(ApiError):
    """401: no key, or one that is wrong, revoked or expired."""


class InsufficientTokensError(ApiError):
    """402: the wallet cannot pay for it."""


class PermissionDeniedError(ApiError):
    """403: the key or its owner may not do this."""


class NotFoundError(ApiError):
    """404: nothing of yours has this id."""


class ConflictError(ApiError):
    """409: it does not fit the state that the thing is in."""


class GoneError(ApiError):
    """410: it was there, and is no more."""


class RateLimitedError(ApiError):
    """429: too many requests, also after the retries."""


class ServerError(ApiError):
    """5xx: our fault; tell us the ``request_id``."""


class JobEndedError(ClientError):
    """A job ended without a result; its tokens were given back as its receipt says.

    Attributes:
        state: failed, blocked, canceled or expired.
        code: why, for programs; None where somebody canceled it.
    """

    def __init__(self, *, job_id: str, state: str, code: str | None, detail: str) -> None:
        super().__init__(f"Job {job_id} {state}: {detail or code or 'no reason given'}")
        self.job_id = job_id
        self.state = state
        self.code = code


class WaitTimeoutError(ClientError):
    """What was waited for has not ended in time. It goes on; wait again whenever you like."""


class DamagedDownloadError(ClientError):
    """The bytes that came are not those that the server described."""


class WebhookRefusedError(ClientError):
    """The signature, the time or the form of a webhook is wrong: do not believe it."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequestError,
    401: NotAuthenticatedError,
    402: InsufficientTokensError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
}
_SERVER = 500


def api_error(
    *, status: int, body: Mapping[str, Any], retry_after_s: float | None = None
) -> ApiError:
    """The exception for an answer that is no success."""
    default = ServerError if status >= _SERVER else ApiError
    return _BY_STATUS.get(status, default)(status=status, body=body, retry_after_s=retry_after_s)
