"""Uploads."""

from __future__ import annotations

import hashlib
import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facefusion_platform_client._building import build
from facefusion_platform_client._transport import Transport
from facefusion_platform_client.models import Asset


class Assets:
    """Pictures and videos of the account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, file: str | os.PathLike[str]) -> Asset:
        """Upload a file in one request; for pictures and short videos.

        Not repeated once bytes were sent: a second upload would be a second asset.

        Raises:
            OSError: the file cannot be read.
            ApiError: the server does not take it.
            NoAnswerError: no answer came; look at ``list`` before you upload again.
        """
        path = Path(file)
        with path.open("rb") as stream:
            body = self._transport.json("POST", "assets", files={"file": (path.name, stream)})
        return build(Asset, body)

    def upload_large(self, file: str | os.PathLike[str]) -> Asset:
        """Upload a file in three steps: announce it, send its bytes to the given address, complete.

        The bytes go to the storage itself where the server has a bucket, and are refused if they
        are not those that were announced.

        Raises:
            OSError: the file cannot be read.
            ApiError: the server or the storage does not take it.
            NoAnswerError: no answer came.
        """
        path = Path(file)
        opened = self._transport.json(
            "POST",
            "uploads",
            json={
                "filename": path.name,
                "size_bytes": path.stat().st_size,
                "sha256": _sha256(path),
                "content_type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            },
        )
        target = opened["upload"]
        self._transport.send_bytes(
            target["method"], target["url"], headers=target["headers"], file=path
        )
        body = self._transport.json("POST", f"uploads/{opened['id']}/complete", is_repeatable=True)
        return build(Asset, body)

    def import_url(self, url: str, *, filename: str = "") -> Asset:
        """Let the server fetch a file from a public https address.

        Raises:
            ApiError: the server does not go there, or does not take what it finds.
            NoAnswerError: no answer came; look at ``list`` before you import again.
        """
        request: dict[str, Any] = {"url": url}
        if filename:
            request["filename"] = filename
        return build(Asset, self._transport.json("POST", "imports", json=request, wait_s=60.0))

    def get(self, asset_id: str) -> Asset:
        """One upload.

        Raises:
            NotFoundError: you have none with this id.
        """
        return build(Asset, self._transport.json("GET", f"assets/{asset_id}"))

    def list(self) -> Iterator[Asset]:
        """All uploads, newest first; pages are fetched as you go."""
        return (build(Asset, item) for item in self._transport.pages("assets", params={}))

    def delete(self, asset_id: str) -> None:
        """Delete the bytes now.

        Raises:
            NotFoundError: you have none with this id.
            ConflictError: a job still needs it.
        """
        self._transport.send("DELETE", f"assets/{asset_id}")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
