"""A web server that receives webhooks, and answers as a test wants it to."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Got:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    arrived_at: float


@dataclass
class Answers:
    """What the receiver says: the next of ``replies``, and when these are used up, ``usual``.

    A reply is a status, headers and a body; ``delay_s`` passes before it.
    """

    usual: tuple[int, dict[str, str], bytes] = (200, {}, b"ok")
    replies: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    delay_s: float = 0.0


@dataclass
class Receiver:
    """Where it listens, what it got, how it answers."""

    url: str
    ca_file: str
    got: list[Got] = field(default_factory=list)
    answers: Answers = field(default_factory=Answers)
    at_once_max: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: Got) -> tuple[int, dict[str, str], bytes]:
        with self._lock:
            self.got.append(request)
            self._at_once += 1
            self.at_once_max = max(self.at_once_max, self._at_once)
            reply = self.answers.replies.pop(0) if self.answers.replies else self.answers.usual
        time.sleep(self.answers.delay_s)
        with self._lock:
            self._at_once -= 1
        return reply


@contextmanager
def receive(folder: Path, *, is_tls: bool = True) -> Iterator[Receiver]:
    """Listen on a free port of this machine."""
    found: list[Receiver] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, answer = found[0].take(Got(self.path, headers, body, time.monotonic()))
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    ca_file = folder / "receiver-ca.pem"
    if is_tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    scheme = "https" if is_tls else "http"
    found.append(Receiver(url=f"{scheme}://localhost:{port}/hooks", ca_file=str(ca_file)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found[0]
    finally:
        server.shutdown()
        server.server_close()
