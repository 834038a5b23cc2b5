"""A web server that stands for any on the Internet, well-behaved or not."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

Talk = Callable[[socket.socket, bytes], None]


@dataclass
class Site:
    """Where the server listens, and what it was asked."""

    port: int
    ca_file: str
    requests: list[bytes] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)

    def url(self, path: str = "/", *, host: str = "localhost", scheme: str = "https") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def answer(
    body: bytes = b"", *, status: str = "200 OK", headers: str = "", length: int | None = None
) -> Talk:
    """Send one plain answer."""
    size = len(body) if length is None else length

    def talk(peer: socket.socket, _request: bytes) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n"
        peer.sendall(head.encode() + body)

    return talk


def drip(start: bytes, drop: bytes, *, pause_s: float = 0.05) -> Talk:
    """Send a start and then a little, for ever."""

    def talk(peer: socket.socket, _request: bytes) -> None:
        peer.sendall(start)
        while True:
            peer.sendall(drop)
            time.sleep(pause_s)

    return talk


@contextmanager
def serve(
    folder: Path,
    talk: Talk | dict[str, Talk],
    *,
    name: str = "localhost",
    is_tls: bool = True,
) -> Iterator[Site]:
    """Answer every request on 127.0.0.1 with ``talk``, or by its path."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))
    site = Site(port=listener.getsockname()[1], ca_file=str(ca_file))
    context.sni_callback = lambda _s, server_name, _c: site.server_names.append(server_name)

    def handle(peer: socket.socket) -> None:
        with suppress(OSError), peer:
            secure = context.wrap_socket(peer, server_side=True) if is_tls else peer
            with secure:
                request = b""
                while b"\r\n\r\n" not in request and (block := secure.recv(65536)):
                    request += block
                if not request:
                    return
                site.requests.append(request)
                path = request.split(b" ")[1].decode()
                (talk if callable(talk) else talk[path])(secure, request)

    def listen() -> None:
        with suppress(OSError):
            while True:
                peer, _address = listener.accept()
                threading.Thread(target=handle, args=(peer,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    with listener:
        yield site
        listener.shutdown(socket.SHUT_RDWR)
