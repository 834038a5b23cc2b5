"""One try to deliver an event: signed, to a public address, bounded in time and bytes. No rows."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final

from django.conf import settings

from accounts import webhook_secrets
from accounts.webhook_types import Outgoing, Reply
from facefusion_site.common import outbound

EXCERPT_BYTES_MAX: Final = 512
_HEADERS_BYTES_MAX: Final = 64 * 1024


def send(outgoing: Outgoing) -> Reply:
    """Post an event and say what came back. Blocks for WEBHOOK_TIMEOUT_S at most.

    Nothing that the receiver does is an exception here, so that every try has an outcome.
    """
    started_at = time.monotonic()
    request = outbound.Request(
        url=outgoing.url,
        method="POST",
        headers={
            "Content-Type": "application/json",
            **webhook_secrets.signed_headers(
                message_id=str(outgoing.event_id),
                sent_at=outgoing.sent_at,
                body=outgoing.body,
                secrets=outgoing.secrets,
            ),
        },
        body=outgoing.body,
    )
    limits = outbound.Limits(
        timeout_s=settings.WEBHOOK_TIMEOUT_S, bytes_max=_HEADERS_BYTES_MAX, redirects_max=0
    )
    try:
        with outbound.call(request, limits=limits) as answer:
            excerpt = _excerpt(answer)
            return Reply(
                latency_ms=_elapsed_ms(started_at),
                status_code=answer.status,
                excerpt=excerpt,
                retry_after_s=retry_after_s(answer.headers, now=outgoing.sent_at),
            )
    except outbound.OutboundError as error:
        return Reply(latency_ms=_elapsed_ms(started_at), error=error.reason.value)


def retry_after_s(headers: Mapping[str, str], *, now: dt.datetime) -> int | None:
    """Seconds from the Retry-After header, up to the longest wait we grant; None without one."""
    text = headers.get("Retry-After", "").strip()
    seconds: int | None = None
    if text.isascii() and text.isdecimal():
        # A number of more digits than any wait we grant need not be read.
        seconds = int(text[:12])
    else:
        with suppress(ValueError, TypeError):
            moment = parsedate_to_datetime(text)
            seconds = int((moment.replace(tzinfo=moment.tzinfo or dt.UTC) - now).total_seconds())
    if seconds is None:
        return None
    return max(0, min(seconds, settings.WEBHOOK_RETRY_AFTER_MAX_S))


def _excerpt(answer: outbound.Answer) -> str:
    """The start of the body, for the owner to look at; a body that breaks off changes nothing."""
    body = b""
    with suppress(outbound.OutboundError):
        body = answer.read_at_most(EXCERPT_BYTES_MAX)
    # PostgreSQL keeps no NUL in a text.
    return body.decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _elapsed_ms(started_at: float) -> int:
    return int((time.monotonic() - started_at) * 1000)
