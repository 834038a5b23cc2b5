"""One HTTP download that can be broken off and continued."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

_READ_CHUNK_BYTES: Final = 1 << 18
#: No model is near this; a source that sends more is not sending a model.
_SIZE_MAX_BYTES: Final = 8 << 30
_CRC32_BYTES_MAX: Final = 64
_CRC32: Final = re.compile(r"[0-9a-f]{8}")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class SourceError(Exception):
    """A source failed; ``is_final`` if another attempt cannot help."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final


@dataclass(slots=True)
class Transfer:
    """A download under way: its address, and the hidden file with what has arrived.

    Beside the part file lies a note on where its bytes come from, so that a later process
    continues only what is still the same file.
    """

    url: str
    part: Path
    validator: str = field(default="", init=False)
    was_resumed: bool = field(default=False, init=False)

    @property
    def done_bytes(self) -> int:
        """How much has arrived."""
        return self.part.stat().st_size if self.part.exists() else 0

    def prepare(self, *, may_mix_sources: bool) -> None:
        """Keep what an earlier download left if it can be continued, else drop it."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            is_ours = note["url"] == self.url
            validator = str(note["validator"]) if is_ours else ""
        except (OSError, ValueError, KeyError, TypeError):
            is_ours, validator = False, ""
        self.validator = validator
        if not validator and not may_mix_sources:
            self.discard()

    def note_source(self, validator: str) -> None:
        """Remember where the bytes of the part file come from."""
        self.validator = validator
        self._note.write_text(
            json.dumps({"url": self.url, "validator": validator}), encoding="utf-8"
        )

    def discard(self) -> None:
        """Forget what has arrived."""
        self.validator, self.was_resumed = "", False
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")


class Fetcher:
    """Talks HTTP with one source."""

    def __init__(self, *, timeout_s: float, size_bytes: int) -> None:
        """``size_bytes`` is what the file must have, 0 if that is not known."""
        self._timeout_s = timeout_s
        self._size_bytes = size_bytes
        # Only the handlers that a download needs: no file:, data: or ftp: addresses.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
            KeepEncryption(),
        ):
            self._opener.add_handler(handler)

    def fetch(self, transfer: Transfer, *, on_progress: Callable[[int, int], None]) -> None:
        """Receive the rest of a file.

        Raises:
            SourceError: the source does not have it, or the connection was cut.
        """
        start = transfer.done_bytes
        transfer.was_resumed = transfer.was_resumed or bool(start)
        if start and start == self._size_bytes:
            return
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if transfer.validator:
                headers["If-Range"] = transfer.validator
        try:
            with self._open(transfer.url, headers) as response:
                self._store(response, transfer, on_progress)
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                # What we have is longer than the file: it was another file.
                transfer.discard()
                raise SourceError("the file has changed", is_final=False) from error
            is_final = error.code < http.client.INTERNAL_SERVER_ERROR
            raise SourceError(f"HTTP status {error.code}", is_final=is_final) from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(str(error) or type(error).__name__, is_final=False) from error

    def listed_crc32(self, url: str) -> int | None:
        """The CRC32 that a source lists beside a file, or None if it lists none."""
        try:
            with self._open(url.removesuffix(".onnx") + ".hash", {}) as response:
                text = response.read(_CRC32_BYTES_MAX).decode("ascii", errors="replace").strip()
        except (OSError, http.client.HTTPException):
            return None
        return int(text, 16) if _CRC32.fullmatch(text) else None

    def _open(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - see __init__
        response: http.client.HTTPResponse = self._opener.open(request, timeout=self._timeout_s)
        return response

    def _store(
        self,
        response: http.client.HTTPResponse,
        transfer: Transfer,
        on_progress: Callable[[int, int], None],
    ) -> None:
        start = _start_of(response, transfer.done_bytes)
        length = int(response.headers.get("Content-Length", "0"))
        total = start + length if length else self._size_bytes
        if total > _SIZE_MAX_BYTES or (self._size_bytes and total != self._size_bytes):
            raise SourceError(
                f"the source offers {total} bytes, {self._size_bytes or _SIZE_MAX_BYTES} are "
                "expected",
                is_final=True,
            )
        transfer.note_source(_validator_of(response.headers))
        done = start
        with transfer.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            while chunk := response.read(_READ_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                if done > (total or _SIZE_MAX_BYTES):
                    raise SourceError("the source sends more than it announced", is_final=True)
                on_progress(done, total)
        if total and done < total:
            raise SourceError(
                f"the connection was cut after {done} of {total} bytes", is_final=False
            )


class KeepEncryption(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but never from https to an address anybody could tamper with."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The next request; the parameters are urllib's.

        Raises:
            SourceError: it would leave encryption.
        """
        if req.type == "https" and not newurl.startswith("https://"):
            raise SourceError("the source redirects to an unencrypted address", is_final=True)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _start_of(response: http.client.HTTPResponse, asked: int) -> int:
    """Where the answer's bytes belong: 0 for a whole file, else what was asked for."""
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != asked:
        raise SourceError("the source continues at another place than asked", is_final=True)
    return asked


def _validator_of(headers: Any) -> str:
    """A strong mark of the file's version, for If-Range; empty if the source gives none."""
    etag = str(headers.get("ETag", ""))
    if etag and not etag.startswith("W/"):
        return etag
    return str(headers.get("Last-Modified", ""))
