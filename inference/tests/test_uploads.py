"""Uploads: what is kept, what is refused with which code, and who may fetch it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from inference import services
from inference.errors import UploadTooLargeError
from inference.models import MediaAsset
from inference.tests import factories

pytestmark = pytest.mark.django_db
URL = "/api/v1/assets"


def upload(client, data: bytes, name: str = "photo.jpg", content_type: str = "image/jpeg"):
    file = SimpleUploadedFile(name, data, content_type=content_type)
    return client.post(URL, {"file": file}, format="multipart")


def stored_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_upload_is_written_anew_and_described(client_of, media_root):
    user = factories.make_user()
    client = client_of(user)
    data = factories.picture(width=64, height=48)

    answer = upload(client, data, name="holiday.png")

    assert answer.status_code == 201, answer.data
    assert answer.data["content_type"] == "image/jpeg", "the content decides, not the name"
    assert (answer.data["width"], answer.data["height"]) == (64, 48)
    assert answer.data["state"] == "ready"
    assert answer.data["received_bytes"] == len(data)
    assert answer.data["received_sha256"] == hashlib.sha256(data).hexdigest()
    assert answer.data["name"] == "holiday.png"
    assert answer.headers["Location"] == f"{URL}/{answer.data['id']}"
    content = client.get(answer.data["content_url"])
    kept = b"".join(content.streaming_content)
    assert (len(kept), hashlib.sha256(kept).hexdigest()) == (
        answer.data["bytes"],
        answer.data["sha256"],
    )
    asset = MediaAsset.objects.get(pk=answer.data["id"])
    assert "holiday" not in asset.file_key
    assert (media_root / asset.file_key).stat().st_mode & 0o777 == 0o640


def test_sides_are_those_of_the_upright_picture(client_of):
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    Image.new("RGB", (64, 48)).save(out, "JPEG", exif=exif)

    answer = upload(client_of(factories.make_user()), out.getvalue())

    assert (answer.data["width"], answer.data["height"]) == (48, 64)


def test_content_is_private_and_never_sniffed(client_of):
    client = client_of(factories.make_user())
    created = upload(client, factories.picture())

    content = client.get(created.data["content_url"], headers={"accept": "image/*"})

    assert content.status_code == 200
    assert content.headers["Cache-Control"] == "private, no-store"
    assert content.headers["X-Content-Type-Options"] == "nosniff"
    assert content.headers["Content-Disposition"] == (
        f'attachment; filename="{created.data["id"]}.jpg"'
    )
    small = client.get(created.data["thumbnail_url"])
    assert small.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(b"".join(small.streaming_content))).size == (64, 48)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"This is a letter, not a picture.\n" * 10, 415, "unsupported_image"),
        (factories.picture(format="GIF"), 415, "unsupported_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_image"),
        (b"", 422, "unreadable_image"),
        (factories.picture(width=400, height=400)[:-2000], 422, "unreadable_image"),
        (factories.picture(format="PNG")[:500], 422, "unreadable_image"),
        (factories.png_header(width=60_000, height=60_000), 422, "image_too_large"),
        (factories.png_header(width=13_000, height=100), 422, "image_too_large"),
    ],
    ids=[
        "text named .jpg",
        "gif",
        "svg",
        "empty",
        "truncated jpeg",
        "truncated png",
        "60000x60000 header",
        "side over the limit",
    ],
)
def test_bad_file_is_refused_with_its_code_and_leaves_nothing(
    client_of, media_root, data, status, code
):
    answer = upload(client_of(factories.make_user()), data)

    assert (answer.status_code, answer.data["code"]) == (status, code)
    assert answer.data["charged_tokens"] == 0
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert MediaAsset.objects.count() == 0
    assert not stored_files(media_root)


def test_announced_size_over_the_limit_is_refused_before_parsing(client_of, settings, monkeypatch):
    settings.UPLOAD_BYTES_MAX = settings.VIDEO_BYTES_MAX = 1000
    monkeypatch.setattr(services, "register_media", lambda **_: pytest.fail("was parsed"))

    answer = upload(client_of(factories.make_user()), b"x" * 200_000)

    assert (answer.status_code, answer.data["code"]) == (413, "upload_too_large")
    assert answer.data["bytes_max"] == 1000


def test_file_a_little_over_the_limit_is_refused_too(client_of, settings, media_root):
    data = factories.picture()
    settings.UPLOAD_BYTES_MAX = len(data) - 1

    answer = upload(client_of(factories.make_user()), data)

    assert (answer.status_code, answer.data["code"]) == (413, "upload_too_large")
    assert not stored_files(media_root)


def test_file_of_exactly_the_limit_is_kept(settings):
    data = factories.picture()
    settings.UPLOAD_BYTES_MAX = len(data)
    user = factories.make_user()

    assert factories.make_asset(owner_id=user.pk, data=data).received_bytes == len(data)
    settings.UPLOAD_BYTES_MAX = len(data) - 1
    with pytest.raises(UploadTooLargeError):
        factories.make_asset(owner_id=user.pk, data=data)


@pytest.mark.parametrize("body", [{}, {"file": "text"}], ids=["missing", "not a file"])
def test_form_without_a_file_is_an_invalid_request(client_of, body):
    answer = client_of(factories.make_user()).post(URL, body, format="multipart")

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_request")
    assert answer.data["errors"][0]["pointer"] == "#/file"


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=other"]
)
def test_broken_form_is_refused(client_of, content_type):
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\nhi\r\n'

    answer = client_of(factories.make_user()).post(URL, body, content_type=content_type)

    assert answer.status_code == 400
    assert answer.data["code"] in {"parse_error", "invalid_request"}


def test_json_is_not_an_upload(client_of):
    answer = client_of(factories.make_user()).post(URL, {"file": "aGk="}, format="json")

    assert (answer.status_code, answer.data["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["", "/content", "/thumbnail"])
def test_somebody_elses_upload_does_not_exist(client_of, path):
    owner, stranger = factories.make_user(), factories.make_user()
    asset = factories.make_asset(owner_id=owner.pk)

    answer = client_of(stranger).get(f"{URL}/{asset.pk}{path}")

    assert (answer.status_code, answer.data["code"]) == (404, "asset_not_found")
    assert client_of(owner).get(f"{URL}/{asset.pk}{path}").status_code == 200


@pytest.mark.parametrize("path", ["", "/content", "/thumbnail"])
def test_anonymous_reader_is_sent_to_sign_in(client, path):
    asset = factories.make_asset(owner_id=factories.make_user().pk)

    assert client.get(f"{URL}/{asset.pk}{path}").status_code == 401


def test_name_is_cleaned_for_show(client_of):
    name = "..\\..\\etc/pass\u202egpj.\x07exe" + "n" * 300
    asset = services.register_media(
        owner_id=factories.make_user().pk, file=io.BytesIO(factories.picture()), name=name
    )

    assert asset.original_name == ("passgpj.exe" + "n" * 300)[:255]


def test_list_pages_newest_first_and_only_ones_own(client_of, django_assert_num_queries):
    user, other = factories.make_user(), factories.make_user()
    factories.make_asset(owner_id=other.pk)
    expected = [str(factories.make_asset(owner_id=user.pk).pk) for _ in range(5)][::-1]
    # Equal times must neither skip nor repeat a row at the border of two pages.
    MediaAsset.objects.update(created_at=timezone.now())
    expected.sort(reverse=True)
    client = client_of(user)

    seen, cursor = [], None
    for _page in range(3):
        with django_assert_num_queries(1):
            answer = client.get(URL, {"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [item["id"] for item in answer.data["items"]]
        cursor = answer.data["next_cursor"]

    assert seen == expected
    assert cursor is None


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "Zm9v",
        "ä",
        "MTIz IDQ1Ng==",
        "OTk5OTk5OTk5OTk5OTk5OTk5OTk5IDAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMA==",
    ],
)
def test_foreign_cursor_is_refused(client_of, cursor):
    answer = client_of(factories.make_user()).get(URL, {"cursor": cursor})

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("limit", ["0", "201", "many"])
def test_page_size_has_bounds(client_of, limit):
    answer = client_of(factories.make_user()).get(URL, {"limit": limit})

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_request")


def test_upload_rate_is_limited(client_of, settings):
    settings.UPLOADS_RATE = "1/h"
    client = client_of(factories.make_user())

    assert upload(client, factories.picture()).status_code == 201
    limited = upload(client, factories.picture())

    assert (limited.status_code, limited.data["code"]) == (429, "rate_limited")
    assert int(limited.headers["Retry-After"]) > 0


def test_failed_write_leaves_no_row_and_no_half_file(monkeypatch, media_root):
    user = factories.make_user()
    real_replace = Path.replace

    def full_disk(self: Path, target: Path) -> Path:
        if target.suffixes == [".jpg"]:
            raise OSError(28, "No space left on device")
        return real_replace(self, target)

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        factories.make_asset(owner_id=user.pk)

    assert MediaAsset.objects.count() == 0
    assert [path.name for path in stored_files(media_root) if "thumb" not in path.name] == []
