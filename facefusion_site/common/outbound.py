"""Calls to addresses that users name: only public ones, checked once and pinned.

A name is resolved once. Every address it has must be public, and the connection goes to the address
that was checked, so an answer that changes between the check and the call changes nothing. The
certificate is checked against the name. One clock ends a call however slowly the other side talks.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookUpTimeoutError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import urllib3
from django.conf import settings
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse
from urllib3.util.ssl_match_hostname import CertificateError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_URL_LENGTH_MAX: Final = 2048
_URL_SIGNS: Final = "%/:=&?~+!$,;'@()*[]"
_ADDRESSES_TRIED_MAX: Final = 3
_BLOCK_BYTES: Final = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset([301, 302, 303, 307, 308])
# Routed like public addresses, yet answered by a host's own network: metadata services and relays.
_REFUSED_IPV4: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24")
)
# Of IPv6 only global unicast is public. What carries an IPv4 address inside (6to4, Teredo and the
# like) or is documentation is not; mapped, NAT64 and local addresses lie outside the first block.
_PUBLIC_IPV6: Final = ipaddress.ip_network("2000::/3")
_REFUSED_IPV6: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# The system's look-up knows no time limit; a stuck one holds a thread of these, not a request.
_LOOK_UPS: Final = ThreadPoolExecutor(max_workers=4, thread_name_prefix="look-up")


class Refusal(StrEnum):
    """Why a call was not made, or not finished."""

    INVALID_URL = "invalid_url"
    # One reason for unknown names and inner addresses: the difference would map the inner network.
    NOT_PUBLIC = "not_public"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted_certificate"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    REDIRECTED = "redirected"
    BROKEN = "broken_answer"


class OutboundError(Exception):
    """A call was refused or failed.

    Attributes:
        reason: safe to show to whoever named the URL; the text of the exception is for logs alone.
    """

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may cost.

    Attributes:
        timeout_s: from the look-up of the name to the last byte, all redirects included.
        bytes_max: of the answer's body.
        redirects_max: each is checked like the first address; 0 refuses them.
    """

    timeout_s: float
    bytes_max: int
    redirects_max: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A URL whose host was resolved and checked.

    Attributes:
        parts: the URL.
        host: in ASCII; the name that the certificate must have.
        port: to connect to.
        addresses: the only ones to connect to.
    """

    parts: SplitResult
    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def host_header(self) -> str:
        """The host as the request names it, with its port where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.parts.scheme] else f"{host}:{self.port}"

    @property
    def path(self) -> str:
        """What the first line of the request asks for; only ASCII."""
        path = self.parts.path or "/"
        return quote(f"{path}?{self.parts.query}" if self.parts.query else path, safe=_URL_SIGNS)


class Answer:
    """The answer to a call while its connection is open.

    Attributes:
        status: of HTTP.
        headers: by name, whatever their case.
        url: the address that answered, after redirects.
    """

    def __init__(
        self, response: HTTPResponse, *, url: str, deadline: _Deadline, bytes_max: int
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = url
        self._response = response
        self._deadline = deadline
        self._bytes_max = bytes_max

    def blocks(self) -> Iterator[bytes]:
        """The body, as sent: nothing is unpacked.

        Raises:
            OutboundError: TOO_LARGE, TOO_SLOW or BROKEN.
        """
        announced = self.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > self._bytes_max:
            raise OutboundError(Refusal.TOO_LARGE, f"{announced} bytes announced")
        received = 0
        while block := self._read():
            received += len(block)
            if received > self._bytes_max:
                raise OutboundError(Refusal.TOO_LARGE, f"more than {self._bytes_max} bytes")
            yield block

    def read_at_most(self, bytes_count: int) -> bytes:
        """The first bytes of the body; the rest is not fetched.

        Raises:
            OutboundError: TOO_SLOW or BROKEN.
        """
        body = b""
        while len(body) < bytes_count and (block := self._read()):
            body += block
        return body[:bytes_count]

    def _read(self) -> bytes:
        try:
            block: bytes = self._response.read1(_BLOCK_BYTES, decode_content=False)
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            self._deadline.check()
            raise OutboundError(Refusal.BROKEN, type(error).__name__) from error
        # A connection that the clock closed looks like one that has ended.
        self._deadline.check()
        return block


class _Deadline:
    """Closes the connection in use when the time is over: a read that blocks then returns."""

    def __init__(self, timeout_s: float) -> None:
        self._ends_at = time.monotonic() + timeout_s
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(timeout_s, self._close)
        self._timer.daemon = True

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()

    @property
    def left_s(self) -> float:
        """Seconds that are left, more than 0.

        Raises:
            OutboundError: none are.
        """
        self.check()
        return max(0.001, self._ends_at - time.monotonic())

    def check(self) -> None:
        """Raise ``OutboundError`` if the time is over."""
        if time.monotonic() >= self._ends_at:
            raise OutboundError(Refusal.TOO_SLOW, "the time is over")

    def watch(self, connected: socket.socket | None) -> None:
        """Close this connection at the end."""
        self._socket = connected
        self.check()

    def release(self) -> None:
        """Forget the connection, which its owner closes."""
        self._socket = None

    def _close(self) -> None:
        connected = self._socket
        if connected is not None:
            # Closed meanwhile by its owner: then nothing waits for it.
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


def is_public(address: Address) -> bool:
    """Whether an address is one that anybody on the Internet could reach."""
    if isinstance(address, ipaddress.IPv4Address):
        is_refused = any(address in network for network in _REFUSED_IPV4)
        return address.is_global and not address.is_multicast and not is_refused
    if address.scope_id is not None or address not in _PUBLIC_IPV6:
        return False
    return not any(address in network for network in _REFUSED_IPV6)


def check_url(url: str) -> SplitResult:
    """Refuse what is no plain address on the web, without asking the network.

    Raises:
        OutboundError: INVALID_URL.
    """
    if len(url) > _URL_LENGTH_MAX or any(c.isspace() or not c.isprintable() for c in url):
        raise OutboundError(Refusal.INVALID_URL, "too long, or with spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _ascii_host(parts)
    except ValueError as error:
        raise OutboundError(Refusal.INVALID_URL, "cannot be parsed") from error
    schemes = ("https", "http") if settings.OUTBOUND_HTTP_ALLOWED else ("https",)
    if parts.scheme not in schemes or not host or "%" in host or "\\" in url:
        raise OutboundError(Refusal.INVALID_URL, "the scheme or the host")
    if "@" in parts.netloc:
        raise OutboundError(Refusal.INVALID_URL, "with a user name")
    if port is not None and port not in settings.OUTBOUND_PORTS:
        raise OutboundError(Refusal.INVALID_URL, f"port {port}")
    return parts


def resolve(url: str, *, timeout_s: float) -> Target:
    """Look a URL's host up once and check every address it has.

    Raises:
        OutboundError: INVALID_URL, or NOT_PUBLIC for a name that is unknown or leads inside.
    """
    parts = check_url(url)
    port = parts.port or _PORTS[parts.scheme]
    host = _ascii_host(parts)
    look_up = _LOOK_UPS.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = look_up.result(timeout=timeout_s)
    except LookUpTimeoutError as error:
        look_up.cancel()
        raise OutboundError(Refusal.TOO_SLOW, "the name was not resolved in time") from error
    except (OSError, UnicodeError) as error:
        raise OutboundError(Refusal.NOT_PUBLIC, f"unknown name {host}") from error
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not _is_allowed(ipaddress.ip_address(address)):
            raise OutboundError(Refusal.NOT_PUBLIC, f"{host} is {address}")
    return Target(parts=parts, host=host, port=port, addresses=addresses[:_ADDRESSES_TRIED_MAX])


@contextmanager
def call(request: Request, *, limits: Limits) -> Iterator[Answer]:
    """Send a request and hand out the answer while its connection is open.

    Blocks for at most ``limits.timeout_s`` in all; call it with no transaction open.

    Raises:
        OutboundError: refused, failed, or over a limit; see ``Refusal``.
    """
    url = request.url
    with _Deadline(limits.timeout_s) as deadline:
        for _hop in range(limits.redirects_max + 1):
            target = resolve(url, timeout_s=deadline.left_s)
            connection = _connect(target, deadline)
            try:
                response = _send(connection, target, request, deadline)
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    yield Answer(response, url=url, deadline=deadline, bytes_max=limits.bytes_max)
                    return
                url = urljoin(url, location)
            finally:
                deadline.release()
                connection.close()
        raise OutboundError(Refusal.REDIRECTED, f"more than {limits.redirects_max} redirects")


def _ascii_host(parts: SplitResult) -> str:
    return (parts.hostname or "").encode("idna").decode()


def _is_allowed(address: Address) -> bool:
    exempt = (ipaddress.ip_network(network) for network in settings.OUTBOUND_EXEMPT_NETWORKS)
    return is_public(address) or any(address in network for network in exempt)


def _connect(target: Target, deadline: _Deadline) -> HTTPConnection:
    """Connect to the first of the checked addresses that answers."""
    for is_last, address in _with_last(target.addresses):
        connection = _connection(target, address, timeout_s=deadline.left_s)
        try:
            connection.connect()
        except (ssl.SSLError, urllib3.exceptions.SSLError, CertificateError) as error:
            connection.close()
            deadline.check()
            raise OutboundError(Refusal.UNTRUSTED, type(error).__name__) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            connection.close()
            deadline.check()
            if is_last:
                raise OutboundError(Refusal.UNREACHABLE, type(error).__name__) from error
        else:
            deadline.watch(connection.sock)
            return connection
    raise OutboundError(Refusal.UNREACHABLE, "the name has no address")


def _connection(target: Target, address: str, *, timeout_s: float) -> HTTPConnection:
    if target.parts.scheme == "http":
        return HTTPConnection(address, target.port, timeout=timeout_s)
    return HTTPSConnection(
        address,
        target.port,
        timeout=timeout_s,
        ssl_context=ssl.create_default_context(cafile=settings.OUTBOUND_CA_FILE),
        server_hostname=target.host,
        assert_hostname=target.host,
    )


def _send(
    connection: HTTPConnection, target: Target, request: Request, deadline: _Deadline
) -> HTTPResponse:
    headers = {
        "Accept-Encoding": "identity",
        "User-Agent": settings.OUTBOUND_USER_AGENT,
        **(request.headers or {}),
        "Host": target.host_header,
    }
    try:
        connection.request(
            request.method,
            target.path,
            body=request.body,
            headers=headers,
            preload_content=False,
            decode_content=False,
        )
        return connection.getresponse()
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        deadline.check()
        raise OutboundError(Refusal.BROKEN, type(error).__name__) from error


def _with_last(addresses: tuple[str, ...]) -> Iterator[tuple[bool, str]]:
    for number, address in enumerate(addresses, start=1):
        yield number == len(addresses), address
