"""Finding the faces of uploads: what is told, to whom, and how it is forgotten."""

from __future__ import annotations

import datetime as dt
import io
import uuid

import numpy as np
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from PIL import Image

from inference import face_handlers, face_transitions, storage, tasks
from inference.models import AssetFace, FaceSearch, MediaAsset
from inference.pipeline.engine import DETECTOR, LANDMARKER, RECOGNISER
from inference.tests import factories, real_engine
from inference.tests.faces.steps import ASSETS, find, from_left, upload
from inference.types import FACE_MODEL_SET

pytestmark = pytest.mark.django_db


def thumbnails(root) -> list[str]:
    return sorted(path.name for path in (root / "faces").rglob("*") if path.is_file())


def test_faces_of_a_picture_are_found_by_a_worker(client, user, couple, media_root):
    asset = upload(user, couple)
    url = f"{ASSETS}/{asset.pk}/faces"

    asked = client.post(url)

    assert (asked.status_code, asked.data["state"]) == (202, "queued")
    assert (asked.headers["Location"], asked.headers["Retry-After"]) == (url, "1")
    assert asked.data["has_faces"] is None
    found = find(client, asset)
    assert (found["state"], found["has_faces"], found["samples"]) == ("done", True, 1)
    left, right = from_left(found["faces"])
    assert left["box_xyxy"][2] < right["box_xyxy"][0]
    assert left["track"] is None
    for face in (left, right):
        quality = face["quality"]
        assert quality["score"] > 0.8
        assert quality["landmark_score"] > 0.5
        assert quality["size_px"] > 50
        assert quality["sharpness"] > 50
        assert set(face) == {"id", "box_xyxy", "quality", "track", "thumbnail_url"}
    assert client.post(url).status_code == 200
    assert thumbnails(media_root) == sorted(f"{face['id']}.jpg" for face in found["faces"])


def test_ids_are_the_same_on_every_call_and_after_forgetting(client, user, couple, media_root):
    asset = upload(user, couple)
    first = find(client, asset)

    again = find(client, asset)
    gone = client.delete(f"{ASSETS}/{asset.pk}/faces")
    after = client.get(f"{ASSETS}/{asset.pk}/faces")

    assert again["faces"] == first["faces"]
    assert gone.status_code == 204
    assert (after.status_code, after.data["code"]) == (404, "faces_not_requested")
    assert AssetFace.objects.count() == 0
    assert thumbnails(media_root) == []
    assert find(client, asset)["faces"] == first["faces"]


def test_the_same_picture_has_other_ids_in_another_upload(client, user, couple):
    first, second = (find(client, upload(user, couple))["faces"] for _ in range(2))

    assert {face["id"] for face in first}.isdisjoint(face["id"] for face in second)


def test_thumbnail_shows_the_face_to_its_owner_alone(client, client_of, user, couple):
    asset = upload(user, couple)
    face = find(client, asset)["faces"][0]
    path = f"{ASSETS}/{asset.pk}/faces/{face['id']}/thumbnail"
    assert face["thumbnail_url"] == f"http://testserver{path}"

    answer = client.get(path)

    with Image.open(io.BytesIO(b"".join(answer.streaming_content))) as small:
        assert max(small.size) <= 160
        shown = np.asarray(small.convert("RGB").resize((40, 40))).astype(float)
    left, top, right, bottom = face["box_xyxy"]
    with Image.open(io.BytesIO(couple)) as whole:
        half = 0.8 * max(right - left, bottom - top)
        x, y = (left + right) / 2, (top + bottom) / 2
        part = whole.convert("RGB").crop((x - half, y - half, x + half, y + half))
    assert np.abs(shown - np.asarray(part.resize((40, 40)))).mean() < 10
    assert answer.headers["Cache-Control"] == "private, no-store"
    other = client_of(factories.make_user())
    assert other.get(path).status_code == 404
    strange = client.get(f"{ASSETS}/{asset.pk}/faces/{uuid.uuid4()}/thumbnail")
    assert (strange.status_code, strange.data["code"]) == (404, "face_not_found")
    elsewhere = upload(user, factories.picture())
    assert client.get(f"{ASSETS}/{elsewhere.pk}/faces/{face['id']}/thumbnail").status_code == 404


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_somebody_elses_upload_does_not_exist(client, client_of, user, couple, method):
    asset = upload(user, couple)
    find(client, asset)

    answer = getattr(client_of(factories.make_user()), method)(f"{ASSETS}/{asset.pk}/faces")

    assert (answer.status_code, answer.data["code"]) == (404, "asset_not_found")
    assert AssetFace.objects.count() == 2


def test_reading_faces_costs_three_queries(client, user, couple, django_assert_num_queries):
    asset = upload(user, couple)
    find(client, asset)

    with django_assert_num_queries(3):  # the upload, the search, the faces
        client.get(f"{ASSETS}/{asset.pk}/faces")


def test_a_picture_without_faces_is_an_answer(client, user):
    found = find(client, upload(user, real_engine.sample("coffee.png")))

    assert (found["state"], found["has_faces"], found["faces"]) == ("done", False, [])
    assert found["error"] is None


def test_faces_beyond_the_limit_are_counted(client, user, couple, settings):
    settings.FACES_MAX = 1
    found = find(client, upload(user, couple))

    assert (len(found["faces"]), found["left_out"]) == (1, 1)


def test_people_of_a_video_have_the_time_they_are_seen(client, user, clip):
    found = find(client, upload(user, clip))

    assert (found["state"], found["samples"]) == ("done", 8)
    hopper, astronaut = found["faces"]
    assert hopper["track"] | {"sample_ms": 0} == {
        "start_ms": 0,
        "end_ms": 3500,
        "sample_ms": 0,
        "samples": 8,
    }
    assert (astronaut["track"]["start_ms"], astronaut["track"]["samples"]) == (2000, 4)
    assert hopper["box_xyxy"][2] < 320 < astronaut["box_xyxy"][0]


def test_samples_of_a_video_are_limited(client, user, clip, settings):
    settings.FACE_SAMPLES_MAX = 3

    assert find(client, upload(user, clip))["samples"] == 3


def test_a_video_that_breaks_later_is_told(client, user, clip, media_root):
    asset = upload(user, clip)
    path = media_root / asset.file_key
    path.write_bytes(path.read_bytes()[:2000])

    found = find(client, asset)

    assert (found["state"], found["has_faces"]) == ("failed", None)
    assert found["error"] == {"code": "unreadable_video", "detail": "The video is damaged."}
    assert client.post(f"{ASSETS}/{asset.pk}/faces").data["state"] == "queued"


def test_forgetting_ends_a_search_that_is_under_way(client, user, couple, media_root):
    asset = upload(user, couple)
    client.post(f"{ASSETS}/{asset.pk}/faces")
    search = FaceSearch.objects.get()
    real = face_transitions.finish

    def late(**order):
        client.delete(f"{ASSETS}/{asset.pk}/faces")
        return real(**order)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(face_transitions, "finish", late)
        assert face_handlers.find_faces(search_id=search.pk) is False

    assert FaceSearch.objects.count() == AssetFace.objects.count() == 0
    assert thumbnails(media_root) == []


def test_an_upload_that_is_deleted_meanwhile_keeps_no_faces(client, user, couple, media_root):
    asset = upload(user, couple)
    client.post(f"{ASSETS}/{asset.pk}/faces")
    search = FaceSearch.objects.get()
    MediaAsset.objects.filter(pk=asset.pk).update(status="DELETING")

    assert face_handlers.find_faces(search_id=search.pk) is False

    assert AssetFace.objects.count() == 0
    assert thumbnails(media_root) == []


def test_a_lost_worker_is_replaced_and_cannot_come_back(client, user, couple):
    asset = upload(user, couple)
    client.post(f"{ASSETS}/{asset.pk}/faces")
    search = FaceSearch.objects.get()
    lost = face_transitions.claim(search_id=search.pk)
    assert lost is not None
    assert face_transitions.claim(search_id=search.pk) is None, "it is being searched"
    FaceSearch.objects.update(lease_expires_at=timezone.now() - dt.timedelta(seconds=1))

    assert face_handlers.lost_searches() == [search.pk]
    assert face_handlers.find_faces(search_id=search.pk) is False

    assert face_transitions.renew(claim=lost) is False
    assert face_transitions.fail(claim=lost, code="internal_error", detail="") is False
    assert client.get(f"{ASSETS}/{asset.pk}/faces").data["state"] == "done"


def test_a_search_that_loses_every_worker_fails(client, user, couple, settings):
    settings.JOB_ATTEMPTS_MAX = 2
    asset = upload(user, couple)
    client.post(f"{ASSETS}/{asset.pk}/faces")
    search = FaceSearch.objects.get()
    for _ in range(2):
        assert face_transitions.claim(search_id=search.pk) is not None
        FaceSearch.objects.update(lease_expires_at=timezone.now() - dt.timedelta(seconds=1))

    assert face_handlers.lost_searches() == []
    found = client.get(f"{ASSETS}/{asset.pk}/faces").data
    assert (found["state"], found["error"]["code"]) == ("failed", "worker_lost")
    assert find(client, asset)["state"] == "done", "a new request starts anew"


def test_a_fault_of_ours_is_tried_again_and_then_told(client, user, couple, settings, tmp_path):
    settings.JOB_ATTEMPTS_MAX = 2
    asset = upload(user, couple)
    (settings.MEDIA_ROOT / asset.file_key).rename(tmp_path / "away")
    client.post(f"{ASSETS}/{asset.pk}/faces")
    search = FaceSearch.objects.get()

    assert face_handlers.find_faces(search_id=search.pk) is True
    assert face_handlers.find_faces(search_id=search.pk) is False

    found = client.get(f"{ASSETS}/{asset.pk}/faces").data
    assert (found["state"], found["error"]["code"]) == ("failed", "internal_error")


def test_a_lost_message_is_sent_again(client, user, couple, monkeypatch):
    asset = upload(user, couple)
    client.post(f"{ASSETS}/{asset.pk}/faces")
    sent = []
    monkeypatch.setattr(tasks.find_faces, "apply_async", lambda **order: sent.append(order))

    tasks.sweep_faces()
    FaceSearch.objects.update(sent_at=timezone.now() - dt.timedelta(hours=1))
    tasks.sweep_faces()
    tasks.sweep_faces()

    assert sent == [{"kwargs": {"search_id": str(FaceSearch.objects.get().pk)}}]


def test_faces_are_forgotten_after_their_time(client, user, couple, media_root, settings):
    asset = upload(user, couple)
    first = find(client, asset)
    left_s = dt.datetime.fromisoformat(first["expires_at"]) - timezone.now()
    assert abs(left_s.total_seconds() - settings.FACES_TTL_S) < 60
    FaceSearch.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    tasks.sweep_faces()

    expired = client.get(f"{ASSETS}/{asset.pk}/faces").data
    assert (expired["state"], expired["faces"], expired["has_faces"]) == ("expired", [], None)
    assert AssetFace.objects.count() == 0
    assert thumbnails(media_root) == []
    assert find(client, asset)["faces"] == first["faces"]


def test_faces_go_with_their_upload(client, user, couple):
    asset = upload(user, couple)
    find(client, asset)

    asset.delete()

    assert FaceSearch.objects.count() == AssetFace.objects.count() == 0


def test_the_embedding_is_kept_and_never_told(client, user, couple):
    asset = upload(user, couple)
    found = find(client, asset)

    vectors = [np.frombuffer(face.embedding, dtype="<f4") for face in AssetFace.objects.all()]
    assert [vector.shape for vector in vectors] == [(128,), (128,)]
    assert "embedding" not in str(found)


def test_the_model_set_names_the_engines_models():
    assert f"{DETECTOR}+{LANDMARKER}+{RECOGNISER}/1" == FACE_MODEL_SET


def test_requests_are_limited(client, user, couple, settings):
    settings.FACES_RATE = "2/h"
    url = f"{ASSETS}/{upload(user, couple).pk}/faces"

    codes = [client.post(url).status_code for _ in range(3)]

    assert codes == [202, 202, 429]


def test_database_refuses_faces_that_cannot_be(client, user, couple):
    find(client, upload(user, couple))
    face = AssetFace.objects.earliest("index")

    for values, name in (
        ({"right_px": face.left_px}, "assetface_box_has_area"),
        ({"time_ms": 5}, "assetface_times_come_together"),
    ):
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            AssetFace.objects.filter(pk=face.pk).update(**values)


def test_storage_without_faces_has_nothing_to_delete():
    storage.delete_faces(asset_id=uuid.uuid4())
