"""Calls to addresses that users name: what is refused, what is pinned, and what ends them."""

from __future__ import annotations

import ipaddress
import socket
import time
from pathlib import Path

import pytest

from facefusion_site.common import outbound
from facefusion_site.common.outbound import Limits, OutboundError, Refusal, Request
from tests.outside import Site, answer, drip, serve

LIMITS = Limits(timeout_s=5, bytes_max=1000)
ENDLESS_HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


def fetch(url: str, *, limits: Limits = LIMITS) -> bytes:
    with outbound.call(Request(url=url), limits=limits) as got:
        assert got.status == 200
        return b"".join(got.blocks())


def refusal(url: str, *, limits: Limits = LIMITS) -> Refusal:
    with pytest.raises(OutboundError) as caught:
        fetch(url, limits=limits)
    return caught.value.reason


@pytest.fixture
def open_to(settings):
    """Let calls reach a server of the test."""

    def allow(site: Site) -> Site:
        settings.OUTBOUND_EXEMPT_NETWORKS = ("127.0.0.0/8",)
        settings.OUTBOUND_PORTS = (443, site.port)
        settings.OUTBOUND_CA_FILE = site.ca_file
        return site

    return allow


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",  # noqa: S104 - an address to be refused
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "192.88.99.1",
        "224.0.0.251",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::1]",
        "[2001:0:7f00:1::1]",
        "[2001:db8::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "localhost",
        "LOCALHOST.",
        "ｌｏｃａｌｈｏｓｔ",  # noqa: RUF001 - full width letters, which a look-up folds
        "①②⑦.⓪.⓪.①",
        "no-such-host.invalid",
    ],
)
def test_inner_and_unknown_hosts_are_refused_alike(host: str) -> None:
    assert refusal(f"https://{host}/") is Refusal.NOT_PUBLIC


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "example.com",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com/a b",
        "https://example.com/\r\nHost: inner",
        "https://example.com\\@inner/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://exa%6dple.com/",
        "https://" + "a" * 64 + ".com/",
        "https://example.com/" + "a" * 3000,
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    assert refusal(url) is Refusal.INVALID_URL


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_public(address: str) -> None:
    assert outbound.is_public(ipaddress.ip_address(address))


def test_one_inner_address_among_public_ones_refuses_the_name(monkeypatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 443)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: found)

    assert refusal("https://example.com/") is Refusal.NOT_PUBLIC


def test_connection_goes_to_the_checked_address_and_asks_for_the_name(
    tmp_path: Path, open_to, monkeypatch
) -> None:
    """The second look-up of a name would lead elsewhere: there is none."""
    look_ups = []

    def look_up(host, port, *_args, **_kwargs):
        look_ups.append(host)
        ip = "127.0.0.1" if host in ("media.example", "127.0.0.1") else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with serve(tmp_path, answer(b"ok"), name="media.example") as site:
        open_to(site)
        assert fetch(site.url("/a?b=ä", host="media.example")) == b"ok"

    assert look_ups.count("media.example") == 1
    assert site.server_names == ["media.example"]
    assert site.requests[0].startswith(b"GET /a?b=%C3%A4 HTTP/1.1\r\n")
    assert f"Host: media.example:{site.port}\r\n".encode() in site.requests[0]


def test_certificate_must_have_the_name(tmp_path: Path, open_to) -> None:
    with serve(tmp_path, answer(b"ok"), name="other.example") as site:
        assert refusal(open_to(site).url()) is Refusal.UNTRUSTED
    assert site.requests == []


def test_certificate_must_be_trusted(tmp_path: Path, open_to, settings) -> None:
    with serve(tmp_path, answer(b"ok")) as site:
        open_to(site)
        settings.OUTBOUND_CA_FILE = None
        assert refusal(site.url()) is Refusal.UNTRUSTED


@pytest.mark.parametrize(
    "talk",
    [answer(b"x" * 1001), answer(b"x", length=1001), drip(ENDLESS_HEAD, b"x" * 500)],
    ids=["sent", "announced", "without end"],
)
def test_bytes_are_capped(tmp_path: Path, open_to, talk) -> None:
    with serve(tmp_path, talk) as site:
        assert refusal(open_to(site).url()) is Refusal.TOO_LARGE


@pytest.mark.parametrize(
    "talk",
    [
        drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
        drip(ENDLESS_HEAD, b"x"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"", pause_s=30),
        lambda _peer, _request: time.sleep(30),
    ],
    ids=["headers", "one header", "body", "stuck body", "silence"],
)
def test_slow_answers_end_in_time(tmp_path: Path, open_to, talk) -> None:
    limits = Limits(timeout_s=0.6, bytes_max=10**6)
    with serve(tmp_path, talk) as site:
        url = open_to(site).url()
        started = time.monotonic()
        reason = refusal(url, limits=limits)

    assert reason is Refusal.TOO_SLOW
    assert time.monotonic() - started < 2


def test_short_answer_is_no_success(tmp_path: Path, open_to) -> None:
    with serve(tmp_path, answer(b"half", length=100)) as site:
        assert refusal(open_to(site).url()) is Refusal.BROKEN


def test_redirects_are_refused_unless_allowed_and_counted(tmp_path: Path, open_to) -> None:
    away = answer(status="302 Found", headers="Location: /b\r\n")
    with serve(tmp_path, {"/a": away, "/b": answer(b"ok"), "/c": answer(b"")}) as site:
        url = open_to(site).url("/a")
        assert refusal(url) is Refusal.REDIRECTED
        limits = Limits(timeout_s=5, bytes_max=100, redirects_max=1)
        assert fetch(url, limits=limits) == b"ok"
    with serve(tmp_path, away) as site:
        assert refusal(open_to(site).url("/a"), limits=limits) is Refusal.REDIRECTED


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://169.254.169.254/latest/meta-data", Refusal.NOT_PUBLIC),
        ("http://localhost/", Refusal.INVALID_URL),
        ("file:///etc/passwd", Refusal.INVALID_URL),
    ],
)
def test_redirects_are_checked_like_the_first_address(
    tmp_path: Path, open_to, location: str, reason: Refusal
) -> None:
    away = answer(status="307 Temporary Redirect", headers=f"Location: {location}\r\n")
    with serve(tmp_path, away) as site:
        limits = Limits(timeout_s=5, bytes_max=100, redirects_max=3)
        assert refusal(open_to(site).url(), limits=limits) is reason


def test_nobody_there_is_unreachable(open_to, settings) -> None:
    settings.OUTBOUND_EXEMPT_NETWORKS = ("127.0.0.0/8",)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.OUTBOUND_PORTS = (port,)

    assert refusal(f"https://127.0.0.1:{port}/") is Refusal.UNREACHABLE


def test_plain_http_and_a_body_where_the_settings_allow_it(
    tmp_path: Path, open_to, settings
) -> None:
    settings.OUTBOUND_HTTP_ALLOWED = True
    with serve(tmp_path, answer(b"fine and long"), is_tls=False) as site:
        order = Request(
            url=open_to(site).url(scheme="http"), method="POST", body=b"{}", headers={"X-A": "b"}
        )
        with outbound.call(order, limits=LIMITS) as got:
            assert got.read_at_most(4) == b"fine"

    assert site.requests[0].startswith(b"POST / HTTP/1.1\r\n")
    assert b"X-A: b\r\n" in site.requests[0]
