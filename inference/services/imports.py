"""Uploads that are fetched from an address.

It is done while the client waits, with one clock, and few at once in one process: no state is left
behind by a request that dies, and what went wrong is the answer itself. Files that take longer
belong into an announced upload.
"""

from __future__ import annotations

import threading
from pathlib import PurePosixPath
from typing import IO, Final, NoReturn
from urllib.parse import unquote, urlsplit

import structlog
from django.conf import settings
from django.utils.translation import gettext as _

from facefusion_site.common import outbound
from facefusion_site.common.outbound import Answer, OutboundError, Refusal
from inference import decoding
from inference.media_errors import (
    ImportFailedError,
    ImportsBusyError,
    ImportTimeoutError,
    ImportUrlError,
)
from inference.media_limits import limits_of
from inference.models import MediaAsset
from inference.services.uploads import register_media, upload_too_large

log = structlog.get_logger(__name__)
_BUSY_RETRY_S: Final = 5
_STATUS_OK: Final = 200
_NOT_FETCHED: Final = frozenset([Refusal.INVALID_URL, Refusal.NOT_PUBLIC])


class _Places:
    """How many imports may run in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._taken >= settings.IMPORTS_AT_ONCE:
                raise ImportsBusyError(
                    _("Many files are being fetched right now."), retry_after_s=_BUSY_RETRY_S
                )
            self._taken += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._taken -= 1


_places = _Places()


def import_media(*, owner_id: int, url: str, name: str = "") -> MediaAsset:
    """Fetch a picture or video from a public https address and keep it.

    What the other server says about the file does not count; its bytes do. Takes at most
    IMPORT_TIMEOUT_S seconds for the transfer. Owns its transactions; call it with none open.

    Args:
        owner_id: whose upload.
        url: where the file is; redirects are followed, each checked like the first address.
        name: what to call the file; empty takes the last part of the address.

    Raises:
        ImportUrlError: no address that files are fetched from.
        ImportFailedError: the other server did not deliver; ``reason`` says how.
        ImportTimeoutError: it was too slow.
        ImportsBusyError: too many imports at once in this process.
        UploadTooLargeError: more bytes than an import, or the account's plan, allows.
        DomainError: the refusals of ``register_media``.
    """
    bytes_max = min(settings.IMPORT_BYTES_MAX, limits_of(owner_id=owner_id).bytes_max)
    with decoding.spooled() as file:
        with _places:
            _fetch(url, out=file, bytes_max=bytes_max)
        return register_media(owner_id=owner_id, file=file, name=name or _name_in(url))


def _fetch(url: str, *, out: IO[bytes], bytes_max: int) -> None:
    limits = outbound.Limits(
        timeout_s=settings.IMPORT_TIMEOUT_S,
        bytes_max=bytes_max,
        redirects_max=settings.IMPORT_REDIRECTS_MAX,
    )
    try:
        with outbound.call(outbound.Request(url=url), limits=limits) as answer:
            _check_status(answer)
            for block in answer.blocks():
                out.write(block)
    except OutboundError as error:
        # The host alone: the rest of an address may be a secret of its owner.
        log.info("inference.import.refused", host=_host_in(url), error=str(error))
        _refuse(error, bytes_max=bytes_max)


def _check_status(answer: Answer) -> None:
    if answer.status != _STATUS_OK:
        raise ImportFailedError(
            _("The other server answered with status %(status)d.") % {"status": answer.status},
            param="url",
            reason="status",
            status_received=answer.status,
        )


def _refuse(error: OutboundError, *, bytes_max: int) -> NoReturn:
    """Say what the client may know: nothing about names and addresses inside."""
    if error.reason in _NOT_FETCHED:
        raise ImportUrlError(
            _("The address is not a public https address."), param="url"
        ) from error
    if error.reason is Refusal.TOO_SLOW:
        raise ImportTimeoutError(
            _("The file did not arrive within %(seconds)d seconds.")
            % {"seconds": settings.IMPORT_TIMEOUT_S},
            param="url",
        ) from error
    if error.reason is Refusal.TOO_LARGE:
        raise upload_too_large(bytes_max=bytes_max) from error
    raise ImportFailedError(
        _("The other server did not deliver the file."), param="url", reason=error.reason.value
    ) from error


def _name_in(url: str) -> str:
    return unquote(PurePosixPath(urlsplit(url).path).name)


def _host_in(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
