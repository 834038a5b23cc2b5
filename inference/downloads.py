"""Answers that carry a picture or a video. Whoever calls has checked that the reader may see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.conf import settings
from django.core.files.base import File
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from facefusion_site.common.drf import problem_response
from inference import storage
from inference.media_errors import RangeNotSatisfiableError

_BLOCK_BYTES: Final = 256 * 1024
# What a page shows inside itself comes from us: its content policy allows no other host.
_EMBEDDED: Final = frozenset(["image", "video", "audio"])
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def media(
    request: HttpRequest,
    *,
    key: str,
    content_type: str,
    file_name: str,
    sha256: str,
    is_attachment: bool,
) -> HttpResponseBase:
    """Hand a stored file to this reader only; a part of it if the request asks for one.

    It is streamed, or where media lies in a bucket, the reader is sent there for a short while.

    Args:
        request: its Range and If-Range headers choose the part. Several parts at once are not
            offered: the whole file answers them, as RFC 9110 allows.
        key: storage key.
        content_type: one that we found ourselves, never a client's.
        file_name: what a browser calls the saved file.
        sha256: of the file, 64 hex digits; its entity tag, because bytes behind a key never change.
        is_attachment: True saves the file, False shows it inside a page.

    Raises:
        OSError: the file is gone.
    """
    disposition = content_disposition_header(is_attachment, file_name)
    if request.headers.get("Sec-Fetch-Dest", "empty") not in _EMBEDDED:
        elsewhere = _elsewhere(key, content_type=content_type, disposition=disposition or "inline")
        if elsewhere is not None:
            return elsewhere
    etag = f'"{sha256}"'
    wanted = request.headers.get("Range", "")
    if request.headers.get("If-Range", etag) != etag:
        wanted = ""
    match = _RANGE.fullmatch(wanted.strip())
    response: HttpResponseBase
    if match is None or not any(match.groups()):
        response = FileResponse(
            storage.open_file(key),
            as_attachment=is_attachment,
            filename=file_name,
            content_type=content_type,
        )
    else:
        size = storage.size_of(key)
        start, end = _bounds(size, first=match[1], last=match[2])
        if start > end:
            return _beyond(request, size)
        response = _part(key, start=start, end=end, size=size)
        response["Content-Type"] = content_type
        if disposition is not None:
            response["Content-Disposition"] = disposition
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    _protect(response)
    return response


def thumbnail(*, key: str) -> FileResponse:
    """Stream the small JPEG beside a stored file, to be shown inside a page.

    Raises:
        OSError: the file is gone.
    """
    return small_picture(key=storage.thumbnail_key(key))


def small_picture(*, key: str) -> FileResponse:
    """Stream a stored JPEG that is a thumbnail itself, to be shown inside a page.

    Raises:
        OSError: the file is gone.
    """
    response = FileResponse(
        storage.open_file(key),
        filename="thumbnail.jpg",
        content_type=storage.THUMBNAIL_CONTENT_TYPE,
    )
    _protect(response)
    return response


def _elsewhere(key: str, *, content_type: str, disposition: str) -> HttpResponseBase | None:
    """Send the reader to the bucket; None where media lies here."""
    url = storage.presigned_get(
        key=key,
        content_type=content_type,
        content_disposition=disposition,
        ttl_s=settings.MEDIA_URL_TTL_S,
    )
    if url is None:
        return None
    answer = HttpResponseRedirect(url)
    answer["Cache-Control"] = "private, no-store"
    return answer


def _bounds(size: int, *, first: str, last: str) -> tuple[int, int]:
    """Bytes ``first`` to ``last``, both inside; without ``first`` the last ``last`` bytes."""
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    return start, end


def _beyond(request: HttpRequest, size: int) -> HttpResponseBase:
    error = RangeNotSatisfiableError(
        _("The file has %(size)d bytes and ends before the wanted range.") % {"size": size},
        size=size,
    )
    refusal = problem_response(request, error)
    refusal["Content-Range"] = f"bytes */{size}"
    _protect(refusal)
    return refusal


def _part(key: str, *, start: int, end: int, size: int) -> HttpResponseBase:
    file = storage.open_file(key)
    response = StreamingHttpResponse(_blocks(file, start=start, end=end), status=206)
    response["Content-Range"] = f"bytes {start}-{end}/{size}"
    response["Content-Length"] = str(end - start + 1)
    return response


def _blocks(file: File[bytes], *, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = end - start + 1
        while left and (block := file.read(min(_BLOCK_BYTES, left))):
            left -= len(block)
            yield block


def _protect(response: HttpResponseBase) -> None:
    # Somebody's face: no shared cache may keep it, and a browser must not guess what it is.
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
