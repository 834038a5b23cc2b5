"""What an account may keep, for how long, and that what is deleted is gone."""

from __future__ import annotations

import datetime as dt
import io
import threading
import uuid
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.types import Role
from inference import asset_transitions, media_handlers, services, storage, tasks
from inference.media_errors import AssetDeletedError, AssetInUseError, StorageQuotaError
from inference.models import MediaAsset, SwapJob
from inference.tests import factories
from inference.tests.pipeline.video.media import Clip, make_clip

URL = "/api/v1/assets"


def stored_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.fixture
def free_plan(settings):
    """Change limits of the free plan."""

    def change(**limits: int) -> None:
        plans = settings.MEDIA_PLAN_LIMITS
        settings.MEDIA_PLAN_LIMITS = {**plans, "free": {**plans["free"], **limits}}

    return change


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("limit", "status", "code"),
    [
        ({"image_bytes_max": 100}, 413, "upload_too_large"),
        ({"image_pixels_max": 3000}, 422, "image_too_large"),
        ({"stored_bytes_max": 100}, 409, "storage_quota_exceeded"),
    ],
)
def test_plan_limits_pictures(client_of, free_plan, media_root, limit, status, code) -> None:
    free_plan(**limit)
    file = io.BytesIO(factories.picture())

    answer = client_of(factories.make_user()).post(URL, {"file": file}, format="multipart")

    assert (answer.status_code, answer.data["code"]) == (status, code)
    assert not stored_files(media_root)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("limit", "status", "code"),
    [
        ({"video_bytes_max": 100, "image_bytes_max": 99}, 413, "upload_too_large"),
        ({"video_pixels_max": 3000}, 422, "video_too_large"),
        ({"video_duration_max_s": 1}, 422, "video_too_long"),
    ],
)
def test_plan_limits_videos(client_of, free_plan, tmp_path, limit, status, code) -> None:
    data = make_clip(tmp_path / "clip.mp4", Clip()).read_bytes()
    free_plan(**limit)

    answer = client_of(factories.make_user()).post(
        URL, {"file": io.BytesIO(data)}, format="multipart"
    )

    assert (answer.status_code, answer.data["code"]) == (status, code)


@pytest.mark.django_db
def test_files_are_counted_until_they_are_deleted(free_plan) -> None:
    free_plan(stored_count_max=2)
    user, other = factories.make_user(), factories.make_user()
    first = factories.make_asset(owner_id=user.pk)
    services.announce_upload(owner_id=user.pk, name="a.jpg", size_bytes=10)

    with pytest.raises(StorageQuotaError) as caught:
        factories.make_asset(owner_id=user.pk)
    assert caught.value.context["stored_count"] == 2
    factories.make_asset(owner_id=other.pk)
    services.delete_asset(owner_id=user.pk, asset_id=first.pk)
    factories.make_asset(owner_id=user.pk)


@pytest.mark.django_db(transaction=True)
def test_uploads_at_once_never_exceed_the_quota_together(free_plan) -> None:
    free_plan(stored_count_max=3)
    user = factories.make_user()
    outcomes = []

    def run() -> None:
        try:
            factories.make_asset(owner_id=user.pk)
            outcomes.append("kept")
        except StorageQuotaError:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["kept"] * 3 + ["refused"] * 5


@pytest.mark.django_db
def test_upload_expires_by_its_plan(free_plan) -> None:
    free_plan(keep_s=3600)

    asset = factories.make_asset(owner_id=factories.make_user().pk)

    assert asset.expires_at is not None
    left = asset.expires_at - timezone.now()
    assert dt.timedelta(minutes=59) < left <= dt.timedelta(hours=1)


@pytest.mark.django_db
def test_deleted_upload_is_gone_at_once_and_its_row_stays(client_of, media_root) -> None:
    user = factories.make_user()
    asset = factories.make_asset(owner_id=user.pk)
    client = client_of(user)

    assert client.delete(f"{URL}/{asset.pk}").status_code == 204

    assert not stored_files(media_root)
    said = client.get(f"{URL}/{asset.pk}").data
    assert (said["state"], said["name"]) == ("deleted", "")
    assert said["deleted_at"] is not None
    for path in ("content", "thumbnail"):
        answer = client.get(f"{URL}/{asset.pk}/{path}")
        assert (answer.status_code, answer.data["code"]) == (410, "asset_deleted")
    assert client.get(URL).data["items"] == []
    assert client.delete(f"{URL}/{asset.pk}").status_code == 204, "repeating it does nothing"
    body = {"source_asset_id": str(asset.pk), "target_asset_id": str(asset.pk)}
    quote = client.post("/api/v1/quotes", {"operation": "image_swap", **body}, format="json")
    assert (quote.status_code, quote.data["code"]) == (410, "asset_deleted")


@pytest.mark.django_db
def test_console_shows_a_deleted_upload_without_its_picture(client) -> None:
    user = factories.make_user()
    asset = factories.make_asset(owner_id=user.pk)
    client.force_login(factories.make_user(role=Role.ADMIN))
    picture = reverse("admin:inference_mediaasset_picture", args=[asset.pk, "small"])
    assert client.get(picture).status_code == 200

    services.delete_asset(owner_id=user.pk, asset_id=asset.pk)

    assert client.get(picture).status_code == 404
    for page in ("changelist", "change"):
        ids = [asset.pk] if page == "change" else []
        assert (
            client.get(reverse(f"admin:inference_mediaasset_{page}", args=ids)).status_code == 200
        )


@pytest.mark.django_db
def test_somebody_elses_upload_cannot_be_deleted(client_of, media_root) -> None:
    asset = factories.make_asset(owner_id=factories.make_user().pk)

    answer = client_of(factories.make_user()).delete(f"{URL}/{asset.pk}")

    assert (answer.status_code, answer.data["code"]) == (404, "asset_not_found")
    assert len(stored_files(media_root)) == 2


@pytest.mark.django_db(transaction=True)
def test_upload_in_use_stays_until_its_job_has_ended(client_of, media_root) -> None:
    user = factories.make_user(tokens=5)
    job = factories.make_job(owner_id=user.pk)
    client = client_of(user)

    for asset in (job.quote.source, job.quote.target):
        answer = client.delete(f"{URL}/{asset.pk}")
        assert (answer.status_code, answer.data["code"]) == (409, "asset_in_use")
        assert answer.data["job_ids"] == [str(job.pk)]
    MediaAsset.objects.update(expires_at=timezone.now() - dt.timedelta(days=1))
    assert media_handlers.purge_media().deleted_count == 0
    assert len(stored_files(media_root)) == 4

    services.stop_swap_job(job_id=job.pk, actor_id=user.pk)

    assert client.delete(f"{URL}/{job.quote.source.pk}").status_code == 204
    assert media_handlers.purge_media().deleted_count == 1
    assert not stored_files(media_root)


@pytest.mark.django_db(transaction=True)
def test_job_is_not_accepted_for_a_deleted_upload() -> None:
    user = factories.make_user(tokens=5)
    quote = factories.make_quote(owner_id=user.pk)
    services.delete_asset(owner_id=user.pk, asset_id=quote.target.pk)

    with pytest.raises(AssetDeletedError):
        services.submit_swap_job(
            owner_id=user.pk, quote_id=quote.pk, idempotency_key=uuid.uuid4().hex
        )
    assert not SwapJob.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_further_sources_of_a_job_are_kept_as_well() -> None:
    user = factories.make_user(tokens=5)
    further = factories.make_asset(owner_id=user.pk)
    quote = factories.make_quote(owner_id=user.pk)
    quote.options["source_asset_ids"] = [str(further.pk)]
    quote.save()
    services.submit_swap_job(owner_id=user.pk, quote_id=quote.pk, idempotency_key="k")

    with pytest.raises(AssetInUseError):
        services.delete_asset(owner_id=user.pk, asset_id=further.pk)
    assert asset_transitions.assets_of(quote) == {quote.source_id, quote.target_id, further.pk}


@pytest.mark.django_db(transaction=True)
def test_deletion_waits_for_a_job_that_is_being_accepted() -> None:
    """Whichever comes first, no accepted job is without its upload."""
    user = factories.make_user(tokens=5)
    quote = factories.make_quote(owner_id=user.pk)
    outcome = []

    def delete() -> None:
        try:
            services.delete_asset(owner_id=user.pk, asset_id=quote.target.pk)
            outcome.append("deleted")
        except AssetInUseError:
            outcome.append("in use")
        finally:
            connection.close()

    thread = threading.Thread(target=delete)
    with transaction.atomic():
        asset_transitions.keep(asset_ids=[quote.source.pk, quote.target.pk])
        thread.start()
        thread.join(timeout=0.5)
        assert thread.is_alive(), "it did not wait"
        SwapJob.objects.create(
            owner_id=user.pk, idempotency_key="k", request_fingerprint="f" * 64, quote=quote
        )
    thread.join()
    SwapJob.objects.all().delete()

    assert outcome == ["in use"]


@pytest.mark.django_db
def test_purge_deletes_what_is_over_and_reports_it(media_root) -> None:
    user = factories.make_user()
    old, kept = factories.make_asset(owner_id=user.pk), factories.make_asset(owner_id=user.pk)
    pending = services.announce_upload(owner_id=user.pk, name="a.jpg", size_bytes=10).asset
    storage.write_stream(key=pending.file_key, file=io.BytesIO(b"0123456789"))
    past = timezone.now() - dt.timedelta(seconds=1)
    MediaAsset.objects.filter(pk=old.pk).update(expires_at=past)
    MediaAsset.objects.filter(pk=pending.pk).update(upload_expires_at=past)

    report = media_handlers.purge_media()

    assert (report.deleted_count, report.failed_count) == (2, 0)
    states = dict(MediaAsset.objects.values_list("pk", "status"))
    assert states == {old.pk: "DELETED", pending.pk: "DELETED", kept.pk: "READY"}
    assert len(stored_files(media_root)) == 2


@pytest.mark.django_db
def test_purge_finishes_what_a_broken_storage_left(monkeypatch, media_root) -> None:
    user = factories.make_user()
    asset = factories.make_asset(owner_id=user.pk)
    real_delete = storage.delete_media

    def broken(_key: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(storage, "delete_media", broken)
    with pytest.raises(OSError, match="Input"):
        services.delete_asset(owner_id=user.pk, asset_id=asset.pk)
    assert media_handlers.purge_media().failed_count == 1
    monkeypatch.setattr(storage, "delete_media", real_delete)

    tasks.purge_media()

    assert MediaAsset.objects.get().status == "DELETED"
    assert not stored_files(media_root)


@pytest.mark.django_db
def test_purge_takes_uploads_without_a_query_for_each(django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(2):
        media_handlers.purge_media()
