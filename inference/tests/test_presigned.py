"""Uploads in three steps: announce, send, complete."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from inference import services
from inference.media_errors import AssetDeletedError, UploadMismatchError
from inference.models import MediaAsset
from inference.tests import factories
from inference.tests.pipeline.video.media import Clip, make_clip

URL = "/api/v1/uploads"
PICTURE = factories.picture()


def announcement(data: bytes = PICTURE, **changes: object) -> dict[str, object]:
    return {
        "filename": "face.jpg",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "content_type": "image/jpeg",
        **changes,
    }


def announce(client, data: bytes = PICTURE, **changes: object) -> dict[str, Any]:
    answer = client.post(URL, announcement(data, **changes), format="json")
    assert answer.status_code == 201, answer.data
    opened: dict[str, Any] = answer.data
    return opened


def send(client, opened: dict[str, Any], data: bytes = PICTURE):
    """As a client without any credentials would."""
    client.force_authenticate(None)
    path = opened["upload"]["url"].removeprefix("http://testserver")
    return client.generic(
        "PUT", path, data, content_type=opened["upload"]["headers"]["Content-Type"]
    )


def complete(client, opened: dict[str, Any]):
    return client.post(f"{URL}/{opened['id']}/complete")


def stored_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def code_of(answer) -> tuple[int, str]:
    return answer.status_code, answer.data["code"]


@pytest.fixture
def user(db):
    return factories.make_user()


@pytest.fixture
def client(client_of, user):
    return client_of(user)


def test_three_steps_make_an_upload(client, client_of, user, media_root) -> None:
    opened = announce(client)
    assert opened["state"] == "pending_upload"
    assert opened["upload"]["method"] == "PUT"
    assert opened["upload"]["headers"] == {"Content-Type": "image/jpeg"}

    assert send(client, opened).status_code == 204
    client = client_of(user)
    done = complete(client, opened)

    assert done.status_code == 200, done.data
    assert (done.data["id"], done.data["state"]) == (opened["id"], "ready")
    assert done.data["received_sha256"] == hashlib.sha256(PICTURE).hexdigest()
    assert (done.data["width"], done.data["height"]) == (64, 48)
    assert done.data["expires_at"] is not None
    again = complete(client, opened)
    assert (again.status_code, again.data) == (200, done.data)
    assert not stored_files(media_root / "incoming")
    assert client.get(done.data["content_url"]).status_code == 200


def test_video_is_announced_by_its_name_alone(client_of, user, tmp_path) -> None:
    data = make_clip(tmp_path / "clip.mp4", Clip()).read_bytes()
    opened = announce(client_of(user), data, filename="a.mp4", sha256="", content_type="")
    assert send(client_of(user), opened, data).status_code == 204

    done = complete(client_of(user), opened)

    assert (done.status_code, done.data["kind"]) == (200, "video")
    assert done.data["frames"] > 0


def test_bytes_go_to_the_disk_as_they_come(live_server, client_of, user, media_root) -> None:
    """Over a real connection; what is missing at its end is seen."""
    opened = announce(client_of(user))
    url = opened["upload"]["url"].replace("http://testserver", live_server.url)

    def put(body: bytes) -> int:
        request = urllib.request.Request(  # noqa: S310 - our own server
            url, data=body, method="PUT", headers=opened["upload"]["headers"]
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert put(PICTURE[:-1]) == 422
    assert not stored_files(media_root)
    assert put(PICTURE) == 204
    assert put(PICTURE) == 204, "may be repeated"
    assert [path.read_bytes() for path in stored_files(media_root)] == [PICTURE]


@pytest.mark.parametrize(
    "data",
    [PICTURE[:-1], PICTURE + b"x", b"", bytes(len(PICTURE))],
    ids=["shorter", "longer", "nothing", "other bytes"],
)
def test_other_bytes_than_announced_are_refused(client, media_root, data) -> None:
    opened = announce(client)

    assert code_of(send(client, opened, data)) == (422, "upload_mismatch")
    assert not stored_files(media_root)


def test_body_that_ends_early_leaves_nothing(user, media_root) -> None:
    opened = services.announce_upload(owner_id=user.pk, name="a.jpg", size_bytes=len(PICTURE))
    signature = opened.target.url.partition("signature=")[2]

    class Broken:
        def read(self, _size: int) -> bytes:
            return b""

    with pytest.raises(UploadMismatchError):
        services.receive_bytes(
            asset_id=opened.asset.pk,
            signature=signature,
            stream=Broken(),
            content_length=len(PICTURE),
        )
    assert not stored_files(media_root)


def test_bytes_that_arrive_while_the_upload_is_deleted_are_removed(user, media_root) -> None:
    opened = services.announce_upload(owner_id=user.pk, name="a.jpg", size_bytes=len(PICTURE))

    class Deleting:
        """The owner deletes the upload while the bytes are on their way."""

        def read(self, _size: int) -> bytes:
            services.delete_asset(owner_id=user.pk, asset_id=opened.asset.pk)
            return PICTURE

    with pytest.raises(AssetDeletedError):
        services.receive_bytes(
            asset_id=opened.asset.pk,
            signature=opened.target.url.partition("signature=")[2],
            stream=Deleting(),
            content_length=len(PICTURE),
        )
    assert not stored_files(media_root)


@pytest.mark.parametrize("change", ["other signature", "other upload", "none"])
def test_address_cannot_be_made_up(client, client_of, user, change) -> None:
    first, second = announce(client), announce(client)
    url = first["upload"]["url"]
    first["upload"]["url"] = {
        "other signature": url[:-3] + "abc",
        "other upload": url.replace(first["id"], second["id"]),
        "none": url.partition("?")[0],
    }[change]

    assert code_of(send(client, first)) == (403, "upload_url_invalid")


def test_complete_before_the_bytes_came(client) -> None:
    answer = complete(client, announce(client))

    assert code_of(answer) == (409, "upload_incomplete")
    assert answer.data["retryable"] is True


def test_time_for_the_bytes_ends(client, client_of, user) -> None:
    opened = announce(client)
    MediaAsset.objects.update(upload_expires_at=timezone.now() - dt.timedelta(seconds=1))

    assert code_of(send(client, opened)) == (410, "upload_expired")
    assert code_of(complete(client_of(user), opened)) == (410, "upload_expired")


def test_bytes_of_a_complete_upload_never_change(client, client_of, user) -> None:
    opened = announce(client)
    send(client, opened)
    assert complete(client_of(user), opened).status_code == 200

    assert code_of(send(client, opened)) == (409, "upload_completed")


def test_refused_bytes_are_gone_and_better_ones_may_come(
    client, client_of, user, media_root
) -> None:
    bad = b"x" * len(PICTURE)
    opened = announce(client, bad, sha256="")
    send(client, opened, bad)

    assert code_of(complete(client_of(user), opened)) == (415, "unsupported_image")
    assert not stored_files(media_root)
    assert send(client, opened).status_code == 204
    assert complete(client_of(user), opened).status_code == 200


def test_kind_must_be_the_announced_one(client, client_of, user, media_root) -> None:
    opened = announce(client, content_type="video/mp4")
    send(client, opened)

    answer = complete(client_of(user), opened)

    assert code_of(answer) == (422, "upload_mismatch")
    assert answer.data["param"] == "content_type"
    assert not stored_files(media_root)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"size_bytes": 0}, "size_bytes"),
        ({"size_bytes": "many"}, "size_bytes"),
        ({"sha256": "abc"}, "sha256"),
        ({"content_type": "image/jpeg\r\nX: y"}, "content_type"),
        ({"content_type": "jpeg"}, "content_type"),
        ({"filename": ""}, "filename"),
        ({"filename": "a" * 256}, "filename"),
    ],
)
def test_announcement_is_checked(client, changes, field) -> None:
    answer = client.post(URL, announcement(**changes), format="json")

    assert code_of(answer) == (400, "invalid_request")
    assert answer.data["errors"][0]["pointer"] == f"#/{field}"


def test_announced_size_over_the_limit_of_the_kind_is_refused(client, settings) -> None:
    settings.UPLOAD_BYTES_MAX = 1000

    answer = client.post(URL, announcement(size_bytes=1001), format="json")
    assert code_of(answer) == (413, "upload_too_large")
    video = announcement(size_bytes=1001, content_type="video/mp4")
    assert client.post(URL, video, format="json").status_code == 201


def test_open_uploads_are_counted(client, settings) -> None:
    settings.UPLOADS_OPEN_MAX = 1
    announce(client)

    answer = client.post(URL, announcement(), format="json")

    assert code_of(answer) == (409, "too_many_open_uploads")


def test_somebody_elses_upload_does_not_exist(client, client_of) -> None:
    opened = announce(client)
    send(client, opened)

    assert code_of(complete(client_of(factories.make_user()), opened)) == (404, "asset_not_found")


@pytest.mark.parametrize("path", ["", "/content", "/thumbnail"])
def test_pending_upload_can_be_seen_but_not_used(client, client_of, user, path) -> None:
    opened = announce(client)

    answer = client.get(f"/api/v1/assets/{opened['id']}{path}")

    if path:
        assert code_of(answer) == (409, "inputs_missing")
    else:
        assert (answer.status_code, answer.data["state"]) == (200, "pending_upload")


@pytest.mark.django_db(transaction=True)
def test_two_completions_at_once_give_one_upload(client_of, media_root) -> None:
    user = factories.make_user()
    opened = announce(client_of(user))
    send(client_of(user), opened)
    answers = []

    def run() -> None:
        try:
            answers.append(complete(client_of(user), opened))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.data["sha256"] for answer in answers}) == 1
    assert len(stored_files(media_root)) == 2, "the picture and its thumbnail"
