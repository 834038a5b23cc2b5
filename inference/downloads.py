"""Answers that carry a picture. Whoever calls has checked that the reader may see it."""

from __future__ import annotations

from django.http import FileResponse

from inference import storage


def picture(*, key: str, content_type: str, file_name: str, is_attachment: bool) -> FileResponse:
    """Stream a stored picture, for this reader only.

    Args:
        key: storage key.
        content_type: one that we found ourselves, never a client's.
        file_name: what a browser calls the saved file.
        is_attachment: True saves the file, False shows it inside a page.

    Raises:
        OSError: the file is gone.
    """
    response = FileResponse(
        storage.open_file(key),
        as_attachment=is_attachment,
        filename=file_name,
        content_type=content_type,
    )
    # Somebody's face: no shared cache may keep it, and a browser must not guess what it is.
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def thumbnail(*, key: str) -> FileResponse:
    """Stream the small JPEG beside a stored picture, to be shown inside a page.

    Raises:
        OSError: the file is gone.
    """
    return picture(
        key=storage.thumbnail_key(key),
        content_type=storage.THUMBNAIL_CONTENT_TYPE,
        file_name="thumbnail.jpg",
        is_attachment=False,
    )
