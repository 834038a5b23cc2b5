"""Uploads that are fetched from an address, from a real HTTPS server."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from inference.models import MediaAsset
from inference.services import imports
from inference.tests import factories
from inference.tests.pipeline.video.media import Clip, make_clip
from tests.outside import Talk, answer, drip, serve

pytestmark = pytest.mark.django_db
URL = "/api/v1/imports"
PICTURE = factories.picture()
LYING = "Content-Type: text/html\r\nContent-Disposition: attachment; filename=evil.exe\r\n"


@pytest.fixture
def fetch(client_of, settings, tmp_path):
    """Import from a server that answers so."""

    def run(talk: Talk | dict[str, Talk], path: str = "/faces/anna.jpg?token=1", **body: str):
        settings.OUTBOUND_EXEMPT_NETWORKS = ("127.0.0.0/8",)
        with serve(tmp_path, talk) as site:
            settings.OUTBOUND_PORTS = (site.port,)
            settings.OUTBOUND_CA_FILE = site.ca_file
            client = client_of(factories.make_user())
            return client.post(URL, {"url": site.url(path), **body}, format="json")

    return run


def refusal(answered) -> tuple[int, str]:
    return answered.status_code, answered.data["code"]


def test_picture_is_fetched_and_only_its_bytes_count(fetch) -> None:
    got = fetch(answer(PICTURE, headers=LYING))

    assert got.status_code == 201, got.data
    assert (got.data["content_type"], got.data["name"]) == ("image/jpeg", "anna.jpg")
    assert got.data["received_sha256"] == hashlib.sha256(PICTURE).hexdigest()
    assert got.headers["Location"] == f"/api/v1/assets/{got.data['id']}"


def test_video_is_fetched_after_redirects(fetch, tmp_path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Clip()).read_bytes()
    away = answer(status="302 Found", headers="Location: /b\r\n")

    got = fetch({"/a": away, "/b": answer(clip)}, "/a", filename="x.bin")

    assert (got.status_code, got.data["kind"], got.data["name"]) == (201, "video", "x.bin")


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (answer(b"<html>no picture</html>"), (415, "unsupported_image")),
        (answer(PICTURE[:-50]), (422, "unreadable_image")),
        (answer(b"no", status="404 Not Found"), (422, "import_failed")),
        (answer(b"", status="204 No Content"), (422, "import_failed")),
        (answer(PICTURE, length=len(PICTURE) + 5), (422, "import_failed")),
        (answer(b"x", length=10**12), (413, "upload_too_large")),
        (answer(status="302 Found", headers="Location: /faces/anna.jpg?token=1\r\n"),
         (422, "import_failed")),
        (answer(status="302 Found", headers="Location: https://10.0.0.1/\r\n"),
         (422, "import_url_refused")),
        (answer(status="302 Found", headers="Location: http://example.com/\r\n"),
         (422, "import_url_refused")),
    ],
)  # fmt: skip
def test_what_does_not_arrive_is_refused(fetch, media_root: Path, talk, expected) -> None:
    got = fetch(talk)

    assert refusal(got) == expected
    assert not MediaAsset.objects.exists()
    assert not [path for path in media_root.rglob("*") if path.is_file()]


def test_bytes_and_time_are_capped(fetch, settings) -> None:
    endless = drip(b"HTTP/1.1 200 OK\r\n\r\n", b"\xff\xd8\xff" * 1000, pause_s=0)
    settings.IMPORT_BYTES_MAX = 100_000
    assert refusal(fetch(endless)) == (413, "upload_too_large")

    settings.IMPORT_TIMEOUT_S = 0.5
    started = time.monotonic()
    got = fetch(drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"))
    assert refusal(got) == (422, "import_timed_out")
    assert got.data["retryable"] is True
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.jpg",
        "https://localhost/a.jpg",
        "https://127.0.0.1/a.jpg",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "https://nobody-knows-this.invalid/",
        "https://user:secret@example.com/a.jpg",
        "file:///etc/passwd",
        "not an address",
    ],
)
def test_addresses_that_are_not_public_give_one_and_the_same_answer(client_of, url) -> None:
    got = client_of(factories.make_user()).post(URL, {"url": url}, format="json")

    assert refusal(got) == (422, "import_url_refused")
    assert got.data["detail"] == "The address is not a public https address."
    assert not {"reason", "address", "host"} & set(got.data)


@pytest.mark.parametrize("body", [{}, {"url": ""}, {"url": "https://e.com/" + "a" * 2048}])
def test_request_is_checked(client_of, body) -> None:
    got = client_of(factories.make_user()).post(URL, body, format="json")

    assert refusal(got) == (400, "invalid_request")


def test_few_run_at_once(fetch, settings) -> None:
    settings.IMPORTS_AT_ONCE = 1
    with imports._places:
        got = fetch(answer(PICTURE))
        assert refusal(got) == (503, "imports_busy")
        assert got.headers["Retry-After"] == "5"

    assert fetch(answer(PICTURE)).status_code == 201
