"""Copies that come with a report: hashed and thrown away, never kept and never looked at."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.core.files import File
from django.utils.translation import gettext as _

from trust.errors import TakedownInvalidError

# What a multipart form adds to the file in it, and more.
_OVERHEAD_BYTES = 64 * 1024


def digest_of(copy: File[bytes] | None, *, announced_bytes: int = 0) -> str:
    """SHA-256 of a copy, 64 hex digits; empty without one.

    Args:
        copy: the file; None only checks the announced size, before anything is read.
        announced_bytes: of the whole request.

    Raises:
        TakedownInvalidError: more bytes than TAKEDOWN_FILE_BYTES_MAX.
    """
    bytes_max = settings.TAKEDOWN_FILE_BYTES_MAX
    is_long = copy is not None and (copy.size or 0) > bytes_max
    if is_long or announced_bytes > bytes_max + _OVERHEAD_BYTES:
        raise TakedownInvalidError(
            _("A copy may have %(max)d bytes. Send its SHA-256 instead.") % {"max": bytes_max},
            param="file",
        )
    if copy is None:
        return ""
    digest = hashlib.sha256()
    for block in copy.chunks():
        digest.update(block)
    return digest.hexdigest()
