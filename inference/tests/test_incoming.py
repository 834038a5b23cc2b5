"""Bytes of uploads that do not wait for them any more are removed, and no others."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from inference import media_handlers, services, storage, tasks
from inference.models import MediaAsset
from inference.tests import factories

pytestmark = pytest.mark.django_db


def put(asset_id: uuid.UUID, *, age: dt.timedelta) -> str:
    key = storage.incoming_key(asset_id=asset_id)
    default_storage.save(key, ContentFile(b"bytes"))
    age_file(key, age)
    return key


def age_file(key: str, age: dt.timedelta) -> None:
    moment = (timezone.now() - age).timestamp()
    os.utime(default_storage.path(key), (moment, moment))


def announced(owner_id: int) -> MediaAsset:
    opened = services.announce_upload(
        owner_id=owner_id, name="face.jpg", size_bytes=5, sha256="", content_type="image/jpeg"
    )
    return opened.asset


def test_only_bytes_that_nobody_waits_for_are_removed(media_root: Path):
    owner = factories.make_user()
    old, young = dt.timedelta(days=1, minutes=1), dt.timedelta(hours=23)
    ready = factories.make_asset(owner_id=owner.pk)
    deleted = factories.make_asset(owner_id=owner.pk)
    services.delete_asset(owner_id=owner.pk, asset_id=deleted.pk)
    gone = [put(asset_id, age=old) for asset_id in (ready.pk, deleted.pk, uuid.uuid4())]
    broken = f"incoming/ab/.part-{uuid.uuid4().hex}"
    default_storage.save(broken, ContentFile(b"half"))
    age_file(broken, old)
    kept = [put(announced(owner.pk).pk, age=old), put(uuid.uuid4(), age=young), ready.file_key]

    assert media_handlers.sweep_incoming() == 4
    tasks.sweep_incoming()

    assert not any(default_storage.exists(key) for key in [*gone, broken])
    assert all(default_storage.exists(key) for key in kept)


def test_nothing_came_yet(media_root: Path):
    assert media_handlers.sweep_incoming() == 0
