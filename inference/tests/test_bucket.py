"""Media in a bucket: the same flow, against a server that speaks the S3 protocol."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from facefusion_site.settings.media import media_storage
from inference import handlers, media_handlers, services, storage
from inference.models import MediaAsset, SwapJob
from inference.tests import factories

BUCKET = "faces"
PICTURE = factories.picture()
SHA256 = hashlib.sha256(PICTURE).hexdigest()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def bucket(settings, endpoint) -> Iterator[Any]:
    """An empty bucket in which media lies."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket=BUCKET)
    settings.MEDIA_BUCKET = BUCKET
    settings.STORAGES = {
        **settings.STORAGES,
        "default": media_storage(
            bucket=BUCKET,
            region="us-east-1",
            endpoint_url=endpoint,
            access_key="key",
            secret_key="secret",
        ),
    }
    yield client
    for key in keys(client):
        client.delete_object(Bucket=BUCKET, Key=key)
    client.delete_bucket(Bucket=BUCKET)


def keys(client: Any) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def announce(client) -> dict[str, Any]:
    body = {
        "filename": "face.jpg",
        "size_bytes": len(PICTURE),
        "sha256": SHA256,
        "content_type": "image/jpeg",
    }
    answer = client.post("/api/v1/uploads", body, format="json")
    assert answer.status_code == 201, answer.data
    opened: dict[str, Any] = answer.data
    return opened


def put(opened: dict[str, Any], data: bytes = PICTURE) -> int:
    request = urllib.request.Request(  # noqa: S310 - the server of this test
        opened["upload"]["url"],
        data=data,
        method=opened["upload"]["method"],
        headers=opened["upload"]["headers"],
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def fetched(url: str) -> tuple[bytes, Any]:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        return answer.read(), answer.headers


@pytest.mark.django_db
def test_bytes_go_to_the_bucket_and_become_an_upload(client_of, bucket, media_root) -> None:
    user = factories.make_user()
    client = client_of(user)
    opened = announce(client)

    assert put(opened) == 200
    done = client.post(f"/api/v1/uploads/{opened['id']}/complete")

    assert done.status_code == 200, done.data
    assert done.data["received_sha256"] == SHA256
    asset = MediaAsset.objects.get(pk=opened["id"])
    assert sorted(keys(bucket)) == sorted([asset.file_key, storage.thumbnail_key(asset.file_key)])
    assert not media_root.exists()


@pytest.mark.django_db
def test_address_binds_length_type_and_checksum(client_of, bucket, endpoint) -> None:
    """What the bucket checks is what the signature covers; a bucket refuses all else."""
    opened = announce(client_of(factories.make_user()))

    parts = urlsplit(opened["upload"]["url"])
    query = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}" == endpoint
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["3600"]
    signed = set(query["X-Amz-SignedHeaders"][0].split(";"))
    assert signed == {"content-length", "content-type", "host", "x-amz-checksum-sha256"}
    assert set(opened["upload"]["headers"]) == {"Content-Type", "x-amz-checksum-sha256"}


@pytest.mark.django_db
def test_other_bytes_that_a_bucket_let_through_are_refused(client_of, bucket) -> None:
    user = factories.make_user()
    opened = announce(client_of(user))
    key = MediaAsset.objects.get().file_key
    bucket.put_object(Bucket=BUCKET, Key=key, Body=bytes(len(PICTURE)))

    answer = client_of(user).post(f"/api/v1/uploads/{opened['id']}/complete")
    assert (answer.status_code, answer.data["code"]) == (415, "unsupported_image")
    other = factories.picture(seed=7)
    bucket.put_object(Bucket=BUCKET, Key=key, Body=other)
    answer = client_of(user).post(f"/api/v1/uploads/{opened['id']}/complete")

    assert (answer.status_code, answer.data["code"]) == (422, "upload_mismatch")
    assert keys(bucket) == []


@pytest.mark.django_db
def test_missing_bytes_are_told(client_of, bucket) -> None:
    client = client_of(factories.make_user())
    opened = announce(client)

    answer = client.post(f"/api/v1/uploads/{opened['id']}/complete")

    assert (answer.status_code, answer.data["code"]) == (409, "upload_incomplete")


@pytest.mark.django_db
def test_reader_is_sent_to_the_bucket_and_pages_are_served_by_us(client_of, bucket) -> None:
    user = factories.make_user()
    asset = factories.make_asset(owner_id=user.pk)
    client = client_of(user)

    answer = client.get(f"/api/v1/assets/{asset.pk}/content")

    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "private, no-store"
    data, headers = fetched(answer.headers["Location"])
    assert hashlib.sha256(data).hexdigest() == asset.sha256
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Content-Disposition"] == f'attachment; filename="{asset.pk}.jpg"'
    assert parse_qs(urlsplit(answer.headers["Location"]).query)["X-Amz-Expires"] == ["300"]
    shown = client.get(f"/api/v1/assets/{asset.pk}/content", headers={"sec-fetch-dest": "image"})
    assert b"".join(shown.streaming_content) == data
    small = client.get(f"/api/v1/assets/{asset.pk}/thumbnail")
    assert b"".join(small.streaming_content).startswith(b"\xff\xd8\xff")


@pytest.mark.django_db
def test_clients_get_the_public_endpoint(client_of, bucket, settings) -> None:
    settings.MEDIA_BUCKET_PUBLIC_URL = "https://media.example.com"

    opened = announce(client_of(factories.make_user()))

    assert opened["upload"]["url"].startswith(f"https://media.example.com/{BUCKET}/incoming/")


@pytest.mark.django_db
def test_deleting_and_purging_empty_the_bucket(client_of, bucket) -> None:
    user = factories.make_user()
    asset = factories.make_asset(owner_id=user.pk)
    opened = announce(client_of(user))
    put(opened)
    assert len(keys(bucket)) == 3

    services.delete_asset(owner_id=user.pk, asset_id=asset.pk)
    services.delete_asset(owner_id=user.pk, asset_id=MediaAsset.objects.get(pk=opened["id"]).pk)

    assert keys(bucket) == []
    assert media_handlers.purge_media().failed_count == 0


@pytest.mark.django_db(transaction=True)
def test_job_reads_from_the_bucket_and_its_result_lies_there(client_of, bucket, fast_swap) -> None:
    user = factories.make_user(tokens=5)
    job = factories.make_job(owner_id=user.pk)

    handlers.run_swap_job(job_id=job.pk)

    job = SwapJob.objects.get(pk=job.pk)
    assert job.status == SwapJob.Status.SUCCEEDED, job.error_detail
    assert job.result_key in keys(bucket)
    answer = client_of(user).get(f"/api/v1/jobs/{job.pk}/result")
    assert answer.status_code == 302
    data, headers = fetched(answer.headers["Location"])
    assert hashlib.sha256(data).hexdigest() == job.result_sha256
    assert headers["Content-Disposition"].startswith("attachment; filename=")
