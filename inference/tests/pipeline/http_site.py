"""A real HTTP server that cuts connections, lies and loses files on demand."""

from __future__ import annotations

import http.server
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Site:
    """What the server offers by path, and how it misbehaves."""

    files: dict[str, bytes] = field(default_factory=dict)
    # Paths whose next answers break off after so many bytes.
    cuts: dict[str, list[int]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    has_ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    def url(self, path: str) -> str:
        return f"{self.address}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers.get("Range", "")
        site.asked.append((self.path, wanted))
        if self.path in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[self.path])
            self.end_headers()
            return
        data = site.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        etag = f'"{zlib.crc32(data):08x}"'
        start = self._start(wanted, etag, len(data))
        if start >= len(data) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        cuts = site.cuts.get(self.path, [])
        self.wfile.write(data[start : start + cuts.pop(0)] if cuts else data[start:])

    def _start(self, wanted: str, etag: str, size: int) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        is_same = self.headers.get("If-Range", etag) == etag
        return int(found[1]) if found and self.site.has_ranges and is_same and size else 0

    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def serve() -> Iterator[Site]:
    """Run a server on a free port of this machine."""
    state = Site()
    handler = type("OwnHandler", (Handler,), {"site": state})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
