"""Where pictures and videos lie. Keys are made here, never from names that clients send.

The bytes behind a key never change: each upload and each attempt of a job has its own key, so a
late worker cannot overwrite the result of the one that replaced it.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage, storages

EXTENSIONS: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/webm": "webm",
}
THUMBNAIL_SIDE_PX: Final = 320
THUMBNAIL_CONTENT_TYPE: Final = "image/jpeg"
_THUMBNAIL_SUFFIX: Final = ".thumb.jpg"
_COPY_BYTES: Final = 1024 * 1024


def asset_key(*, asset_id: uuid.UUID, content_type: str) -> str:
    """A fresh key for an upload, another one at each call; two levels keep folders small."""
    attempt = uuid.uuid4().hex[:8]
    return f"assets/{asset_id.hex[:2]}/{asset_id}-{attempt}.{EXTENSIONS[content_type]}"


def incoming_key(*, asset_id: uuid.UUID) -> str:
    """The key under which the bytes of an announced upload arrive, before they are looked into."""
    return f"incoming/{asset_id.hex[:2]}/{asset_id}"


def result_key(*, job_id: uuid.UUID, attempt: int, content_type: str) -> str:
    """The key of what one attempt of a job produced."""
    return f"{_results_folder(job_id)}/{attempt}.{EXTENSIONS[content_type]}"


def segment_key(*, job_id: uuid.UUID, index: int, attempt: int, extension: str) -> str:
    """The key of what one attempt of a segment produced; gone when its job has ended."""
    return f"{_results_folder(job_id)}/segment-{index}-{attempt}.{extension}"


def faces_folder(*, asset_id: uuid.UUID, search_id: uuid.UUID, attempt: int) -> str:
    """Where one attempt to find the faces of an upload puts their thumbnails."""
    return f"{_faces_folder(asset_id)}/{search_id}-{attempt}"


def thumbnail_key(key: str) -> str:
    """The key of the small JPEG beside a picture or video."""
    return str(PurePosixPath(key).with_suffix(_THUMBNAIL_SUFFIX))


def write_picture(*, key: str, data: bytes, thumbnail: bytes) -> str:
    """Store a picture and its thumbnail; on return both are complete and on disk.

    Returns:
        The SHA-256 of ``data``, 64 hex digits.

    Raises:
        OSError: the storage is full or broken; a part may be left under the key.
    """
    _write(thumbnail_key(key), thumbnail)
    _write(key, data)
    return hashlib.sha256(data).hexdigest()


def write_stream(*, key: str, file: IO[bytes]) -> str:
    """Store a file that may be larger than the memory; on return it is complete and on disk.

    Returns:
        The SHA-256 of its bytes, 64 hex digits.

    Raises:
        OSError: the storage is full or broken; nothing is left under the key.
    """
    with new_file(key) as path, path.open("wb") as out:
        shutil.copyfileobj(file, out, _COPY_BYTES)
    return sha256_of(key)


def write_thumbnail(*, key: str, thumbnail: bytes) -> None:
    """Store the small JPEG beside the file ``key``.

    Raises:
        OSError: the storage is full or broken.
    """
    _write(thumbnail_key(key), thumbnail)


def write_small_picture(*, key: str, data: bytes) -> None:
    """Store a picture that has no thumbnail because it is one.

    Raises:
        OSError: the storage is full or broken.
    """
    _write(key, data)


@contextmanager
def new_file(key: str) -> Iterator[Path]:
    """A local path to write to, with the suffix of ``key``; at the end its file is stored.

    If the block raises, nothing is left under the key.

    Raises:
        OSError: the storage is full or broken, or the block wrote no file.
    """
    try:
        final = Path(default_storage.path(key))
    except NotImplementedError:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePosixPath(key).name)
            yield path
            with path.open("rb") as file:
                default_storage.save(key, File(file))
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".part-{uuid.uuid4().hex}{final.suffix}")
    try:
        yield part
        with part.open("rb") as file:
            # A row must never point at bytes that a power cut can take back.
            os.fsync(file.fileno())
        part.chmod(settings.FILE_UPLOAD_PERMISSIONS)
        part.replace(final)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def local_file(key: str) -> Iterator[Path]:
    """A stored file as a local one, only to be read.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    try:
        path = Path(default_storage.path(key))
    except NotImplementedError:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, PurePosixPath(key).name)
            with default_storage.open(key, "rb") as file, path.open("wb") as out:
                shutil.copyfileobj(file, out, _COPY_BYTES)
            yield path
        return
    if not path.is_file():
        raise FileNotFoundError(key)
    yield path


def size_of(key: str) -> int:
    """Bytes of a stored file.

    Raises:
        OSError: there is no such file.
    """
    size: int = default_storage.size(key)
    return size


def sha256_of(key: str) -> str:
    """The SHA-256 of a stored file, 64 hex digits.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    digest = hashlib.sha256()
    with default_storage.open(key, "rb") as file:
        while block := file.read(_COPY_BYTES):
            digest.update(block)
    return digest.hexdigest()


def read(key: str) -> bytes:
    """All bytes of a stored file.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    with default_storage.open(key, "rb") as file:
        data: bytes = file.read()
    return data


def open_file(key: str) -> File[bytes]:
    """A stored file for streaming; the caller closes it.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    return default_storage.open(key, "rb")


def presigned_put(
    *, key: str, size_bytes: int, content_type: str, sha256: str, ttl_s: int
) -> tuple[str, dict[str, str]] | None:
    """An address in the bucket for exactly these bytes, and the headers to send along.

    Args:
        key: where they go.
        size_bytes: the bucket refuses any other length.
        content_type: sent as it is.
        sha256: 64 hex digits that the bucket checks; empty checks nothing.
        ttl_s: how long the address is good for.

    Returns:
        None where media lies in a folder of ours.
    """
    if not settings.MEDIA_BUCKET:
        return None
    headers = {"Content-Type": content_type}
    parameters: dict[str, object] = {"ContentLength": size_bytes, "ContentType": content_type}
    if sha256:
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        headers["x-amz-checksum-sha256"] = parameters["ChecksumSHA256"] = checksum
    return _presign("put_object", key, parameters, ttl_s=ttl_s), headers


def presigned_get(
    *, key: str, content_type: str, content_disposition: str, ttl_s: int
) -> str | None:
    """An address in the bucket that hands a file out; None where media lies in a folder of ours."""
    if not settings.MEDIA_BUCKET:
        return None
    parameters: dict[str, object] = {
        "ResponseContentType": content_type,
        "ResponseContentDisposition": content_disposition,
        "ResponseCacheControl": "private, no-store",
    }
    return _presign("get_object", key, parameters, ttl_s=ttl_s)


def delete_media(key: str) -> None:
    """Remove a file and its thumbnail; nothing happens where there is none."""
    default_storage.delete(key)
    default_storage.delete(thumbnail_key(key))


def delete_incoming(*, asset_id: uuid.UUID) -> None:
    """Remove bytes of an announced upload that were not looked into; there may be none."""
    default_storage.delete(incoming_key(asset_id=asset_id))


def stale_incoming(*, before: dt.datetime) -> Iterator[dict[str, uuid.UUID | None]]:
    """Files of announced uploads that nobody has written to since, a folder at a time.

    Each key comes with its upload; with None where the file is what a broken write left behind.
    """
    for folder in _listed("incoming")[0]:
        found: dict[str, uuid.UUID | None] = {}
        for name in _listed(f"incoming/{folder}")[1]:
            key = f"incoming/{folder}/{name}"
            # A file may go at any moment: its upload is just being completed.
            with suppress(FileNotFoundError):
                if default_storage.get_modified_time(key) < before:
                    found[key] = _as_id(name)
        yield found


def delete_stale(key: str) -> None:
    """Remove one of the files that ``stale_incoming`` has found."""
    default_storage.delete(key)


def delete_results(*, job_id: uuid.UUID, keep_key: str | None) -> None:
    """Remove what the attempts of a job left behind, except the file ``keep_key``."""
    folder = _results_folder(job_id)
    kept = set() if keep_key is None else {keep_key, thumbnail_key(keep_key)}
    try:
        _folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        key = f"{folder}/{name}"
        if key not in kept:
            default_storage.delete(key)


def delete_faces(*, asset_id: uuid.UUID) -> None:
    """Remove the thumbnails of all faces of an upload; nothing happens where there are none."""
    for folder in _listed(_faces_folder(asset_id))[0]:
        delete_folder(f"{_faces_folder(asset_id)}/{folder}")


def delete_folder(folder: str) -> None:
    """Remove the files of a folder that has no folders in it."""
    for name in _listed(folder)[1]:
        default_storage.delete(f"{folder}/{name}")
    # Object storages have no folders, only names with slashes.
    with suppress(NotImplementedError, OSError):
        Path(default_storage.path(folder)).rmdir()


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in a folder."""
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []


def _as_id(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name)
    except ValueError:
        return None


def _faces_folder(asset_id: uuid.UUID) -> str:
    return f"faces/{asset_id.hex[:2]}/{asset_id}"


def _results_folder(job_id: uuid.UUID) -> str:
    return f"results/{job_id.hex[:2]}/{job_id}"


def _presign(operation: str, key: str, parameters: dict[str, object], *, ttl_s: int) -> str:
    url: str = _signer().generate_presigned_url(
        operation,
        Params={"Bucket": settings.MEDIA_BUCKET, "Key": key, **parameters},
        ExpiresIn=ttl_s,
    )
    return url


def _signer() -> Any:
    """A client of the bucket as our own clients reach it."""
    bucket: Any = storages["default"]
    if not settings.MEDIA_BUCKET_PUBLIC_URL:
        return bucket.connection.meta.client
    return _public_signer(settings.MEDIA_BUCKET_PUBLIC_URL)


@functools.lru_cache(maxsize=1)
def _public_signer(endpoint_url: str) -> Any:
    # Only where there is a bucket: the library takes long to load.
    import boto3  # noqa: PLC0415

    bucket: Any = storages["default"]
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=bucket.region_name,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        config=bucket.client_config,
    )


def _write(key: str, data: bytes) -> None:
    try:
        path = Path(default_storage.path(key))
    except NotImplementedError:
        # An object storage shows an object only when all of it has arrived.
        default_storage.save(key, ContentFile(data))
    else:
        _write_local(path, data)


def _write_local(path: Path, data: bytes) -> None:
    """Write beside the final name and rename: a reader sees all of the file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as part:
        try:
            part.write(data)
            part.flush()
            # A row must never point at bytes that a power cut can take back.
            os.fsync(part.fileno())
            os.fchmod(part.fileno(), settings.FILE_UPLOAD_PERMISSIONS)
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise
