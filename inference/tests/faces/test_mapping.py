"""Jobs that name faces: only those change, and what became of each is told."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from inference import face_handlers, handlers, services
from inference.models import FaceSearch, SwapJob
from inference.tests import factories, real_engine
from inference.tests.faces.steps import (
    change,
    find,
    frame_at,
    from_left,
    pair,
    pixels,
    quote,
    run,
    upload,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(user):
    return upload(user, real_engine.sample("astronaut.png"))


@pytest.fixture
def hopper(user):
    return upload(user, real_engine.sample("grace_hopper.jpg"))


@pytest.fixture
def target(user, couple):
    return upload(user, couple)


def code_of(answer):
    return answer.status_code, answer.data["code"], answer.data.get("param")


def job_of(client, job):
    return client.get(f"/api/v1/jobs/{job.pk}").data


def test_only_the_mapped_face_of_a_picture_changes(client, user, source, target, media_root):
    (face,) = find(client, source)["faces"]
    left, right = from_left(find(client, target)["faces"])

    quoted = quote(client, source, target, mapping=[pair(face, right)])
    job = run(user, quoted)

    assert quoted.data["options"] == {"target_faces": "mapping", "mapping": [pair(face, right)]}
    shown = job_of(client, job)
    assert shown["state"] == "succeeded", shown["error"]
    assert shown["people"] == [
        {
            "target_face_id": right["id"],
            "source_face_ids": [face["id"]],
            "frames_swapped": 1,
        }
    ]
    assert shown["report"] is None
    before, after = (
        pixels((media_root / key).read_bytes()) for key in (target.file_key, job.result_key)
    )
    assert change(before, after, right["box_xyxy"]) > 5
    half = before.shape[1] * left["box_xyxy"][2] // before.shape[1]
    assert (after[:, : int(half) + 1] == before[:, : int(half) + 1]).all()


def test_two_identities_change_places(client, user, source, hopper, target, media_root):
    (astronaut_face,), (hopper_face,) = (find(client, asset)["faces"] for asset in (source, hopper))
    left, right = from_left(find(client, target)["faces"])

    job = run(
        user,
        quote(
            client,
            source,
            target,
            source_asset_ids=[str(hopper.pk)],
            mapping=[pair(astronaut_face, right), pair(hopper_face, left)],
        ),
    )

    shown = job_of(client, job)
    assert shown["state"] == "succeeded", shown["error"]
    assert [person["frames_swapped"] for person in shown["people"]] == [1, 1]
    assert len(shown["faces"]) == 2
    for face in shown["faces"]:
        assert face["similarity_after"] > face["similarity_before"] + 0.2


def test_a_face_of_a_group_can_be_a_source(client, user, target, hopper):
    astronaut_face, _other = from_left(find(client, target)["faces"])
    (hopper_face,) = find(client, hopper)["faces"]

    job = run(user, quote(client, target, hopper, mapping=[pair(astronaut_face, hopper_face)]))

    (face,) = job_of(client, job)["faces"]
    assert face["similarity_after"] > face["similarity_before"] + 0.2


def test_several_pictures_of_one_person_are_one_identity(client, user, source, target):
    second = upload(user, real_engine.enlarged("astronaut.png", width_px=700))
    faces = [find(client, asset)["faces"][0] for asset in (source, second)]
    _left, right = from_left(find(client, target)["faces"])

    job = run(
        user,
        quote(
            client,
            source,
            target,
            source_asset_ids=[str(second.pk)],
            mapping=[pair(face, right) for face in faces],
        ),
    )

    (person,) = job_of(client, job)["people"]
    assert person["source_face_ids"] == [face["id"] for face in faces]
    assert person["frames_swapped"] == 1


def test_several_sources_need_no_mapping(client, user, source, hopper):
    second = upload(user, real_engine.enlarged("astronaut.png", width_px=700))

    job = run(user, quote(client, source, hopper, source_asset_ids=[str(second.pk)]))

    shown = job_of(client, job)
    assert shown["state"] == "succeeded", shown["error"]
    assert shown["people"] == []
    assert shown["options"]["source_asset_ids"] == [str(second.pk)]


def test_a_reference_means_one_person(client, user, source, target, media_root):
    find(client, source)
    left, right = from_left(find(client, target)["faces"])

    job = run(user, quote(client, source, target, reference_face_id=right["id"], distance=0.25))

    shown = job_of(client, job)
    assert shown["options"]["target_faces"] == "reference"
    assert shown["people"] == [
        {"target_face_id": right["id"], "source_face_ids": [], "frames_swapped": 1}
    ]
    before, after = (
        pixels((media_root / key).read_bytes()) for key in (target.file_key, job.result_key)
    )
    assert change(before, after, right["box_xyxy"]) > 5
    assert change(before, after, left["box_xyxy"]) == 0


@pytest.mark.parametrize("segment_s", [30, 2], ids=["one piece", "two segments"])
def test_only_the_mapped_person_of_a_video_changes(client, user, source, clip, settings, segment_s):
    settings.VIDEO_SEGMENT_S = segment_s
    target = upload(user, clip)
    (face,) = find(client, source)["faces"]
    hopper, astronaut = find(client, target)["faces"]

    job = run(user, quote(client, source, target, mapping=[pair(face, hopper)]))

    shown = job_of(client, job)
    assert shown["state"] == "succeeded", shown["error"]
    assert job.segments_count == (2 if segment_s == 2 else 0)
    (person,) = shown["people"]
    assert person["target_face_id"] == hopper["id"]
    assert person["frames_swapped"] == 40
    assert shown["report"]["faces_swapped"] == 40
    assert "people" not in shown["report"]
    before = frame_at(clip, number=30)
    after = frame_at(settings.MEDIA_ROOT / job.result_key, number=30)
    assert change(before, after, hopper["box_xyxy"]) > 5
    # Both are compressed, so the other face is the same but for that.
    assert change(before, after, astronaut["box_xyxy"]) < 3


def test_nobody_found_again_costs_nothing(client, user, source, target, media_root):
    (face,) = find(client, source)["faces"]
    _left, right = from_left(find(client, target)["faces"])
    quoted = quote(client, source, target, mapping=[pair(face, right)])
    # As if the face had been somewhere else when it was named.
    FaceSearch.objects.get(asset=target).faces.filter(pk=right["id"]).update(
        left_px=0, right_px=9, top_px=0, bottom_px=9
    )

    job = run(user, quoted)

    shown = job_of(client, job)
    assert (shown["state"], shown["error"]["code"]) == ("failed", "no_face_in_target")
    assert (shown["receipt"]["settled"], shown["receipt"]["refunded"]) == (0, 1)


def test_one_of_two_not_found_again_is_told(client, user, source, target):
    (face,) = find(client, source)["faces"]
    left, right = from_left(find(client, target)["faces"])
    quoted = quote(client, source, target, mapping=[pair(face, left), pair(face, right)])
    FaceSearch.objects.get(asset=target).faces.filter(pk=left["id"]).update(
        left_px=0, right_px=9, top_px=0, bottom_px=9
    )

    job = run(user, quoted)

    shown = job_of(client, job)
    assert shown["state"] == "succeeded"
    assert [(person["target_face_id"], person["frames_swapped"]) for person in shown["people"]] == [
        (left["id"], 0),
        (right["id"], 1),
    ]
    assert shown["receipt"]["settled"] == 1


def test_faces_forgotten_before_the_run_give_the_tokens_back(client, user, source, target):
    (face,) = find(client, source)["faces"]
    _left, right = from_left(find(client, target)["faces"])
    quoted = quote(client, source, target, mapping=[pair(face, right)])
    client.delete(f"/api/v1/assets/{target.pk}/faces")

    job = run(user, quoted)

    shown = job_of(client, job)
    assert (shown["state"], shown["error"]["code"]) == ("failed", "faces_gone")
    assert shown["receipt"]["refunded"] == 1
    assert SwapJob.objects.get().attempt == 1, "another attempt would end the same"


def test_faces_outlive_the_promise_that_names_them(client, user, source, target, settings):
    (face,) = find(client, source)["faces"]
    _left, right = from_left(find(client, target)["faces"])
    FaceSearch.objects.update(expires_at=timezone.now() + dt.timedelta(seconds=5))

    assert quote(client, source, target, mapping=[pair(face, right)]).status_code == 201

    enough = timezone.now() + dt.timedelta(seconds=settings.QUOTE_TTL_S + settings.HOLD_TTL_S)
    assert FaceSearch.objects.filter(expires_at__gt=enough).count() == 2


def test_faces_are_not_forgotten_under_a_job(client, user, source, target):
    (face,) = find(client, source)["faces"]
    _left, right = from_left(find(client, target)["faces"])
    quoted = quote(client, source, target, mapping=[pair(face, right)])
    job_id = services.submit_swap_job(
        owner_id=user.pk, quote_id=uuid.UUID(quoted.data["id"]), idempotency_key="k"
    ).job_id
    FaceSearch.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    face_handlers.forget_expired_faces()
    handlers.run_swap_job(job_id=job_id)

    assert SwapJob.objects.get().status == SwapJob.Status.SUCCEEDED
    face_handlers.forget_expired_faces()
    assert {search.status for search in FaceSearch.objects.all()} == {"EXPIRED"}


@pytest.fixture
def known(client, source, target):
    """The one face of the source and both of the target."""
    (face,) = find(client, source)["faces"]
    return face, from_left(find(client, target)["faces"])


def test_ids_that_are_not_in_the_uploads_are_named(client, source, target, known):
    face, (left, right) = known
    strange = {"id": str(uuid.uuid4())}

    cases = {
        "options.mapping.0.source_face_id": [pair(strange, right)],
        "options.mapping.1.target_face_id": [pair(face, right), pair(face, strange)],
        # Faces of the wrong upload.
        "options.mapping.0.target_face_id": [pair(face, face)],
    }
    for param, mapping in cases.items():
        answer = quote(client, source, target, mapping=mapping)
        assert code_of(answer) == (404, "face_not_found", param)
    answer = quote(client, source, target, mapping=[pair(left, right)])
    assert code_of(answer) == (404, "face_not_found", "options.mapping.0.source_face_id")
    answer = quote(client, source, target, reference_face_id=face["id"])
    assert code_of(answer) == (404, "face_not_found", "options.reference_face_id")


def test_options_that_make_no_sense_are_named(client, source, hopper, target, known):
    face, (_left, right) = known
    find(client, hopper)
    mapping = [pair(face, right)]

    cases: dict[str, dict[str, Any]] = {
        "options.mapping": {"target_faces": "all", "mapping": mapping},
        "options.mapping.1": {"mapping": mapping * 2},
        "options.filter": {"mapping": mapping, "filter": {"gender": "male"}},
        "options.reference_face_id": {"target_faces": "reference"},
        "options.distance": {"distance": 0.2},
        "options.source_asset_ids.0": {"mapping": mapping, "source_asset_ids": [str(hopper.pk)]},
    }
    for param, options in cases.items():
        assert code_of(quote(client, source, target, **options)) == (422, "invalid_mapping", param)
    answer = quote(client, source, target, target_faces="mapping")
    assert code_of(answer) == (422, "invalid_mapping", "options.mapping")
    answer = quote(client, source, target, source_asset_ids=[str(source.pk)])
    assert code_of(answer) == (422, "invalid_mapping", "options.source_asset_ids.0")


def test_faces_must_be_known_and_not_expired(client, user, source, hopper, target, known):
    face, (_left, right) = known

    answer = quote(client, hopper, target, mapping=[pair(face, right)])
    assert code_of(answer) == (409, "faces_not_ready", "source_asset_id")
    answer = quote(
        client, source, target, mapping=[pair(face, right)], source_asset_ids=[str(hopper.pk)]
    )
    assert code_of(answer) == (409, "faces_not_ready", "options.source_asset_ids.0")
    FaceSearch.objects.filter(asset=target).update(status="EXPIRED", expires_at=None)
    answer = quote(client, source, target, mapping=[pair(face, right)])
    assert code_of(answer) == (409, "faces_expired", "target_asset_id")
    assert answer.data["asset_id"] == str(target.pk)


def test_somebody_elses_sources_do_not_exist(client, source, target):
    foreign = factories.make_asset(owner_id=factories.make_user().pk)

    answer = quote(client, source, target, source_asset_ids=[str(foreign.pk)])

    assert code_of(answer) == (404, "asset_not_found", "options.source_asset_ids.0")


def test_a_video_is_no_source(client, user, source, target, clip):
    answer = quote(client, source, target, source_asset_ids=[str(upload(user, clip).pk)])

    assert code_of(answer) == (422, "source_not_a_picture", "options.source_asset_ids.0")


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"mapping": []}, "#/options/mapping"),
        ({"mapping": "all"}, "#/options/mapping"),
        ({"mapping": [{"source_face_id": str(uuid.uuid4())}]}, "#/options/mapping/0"),
        ({"reference_face_id": 7}, "#/options/reference_face_id"),
        ({"distance": 0}, "#/options/distance"),
        ({"distance": "near"}, "#/options/distance"),
        ({"order": "random"}, "#/options/order"),
        ({"filter": {"gender": "robot"}}, "#/options/filter/gender"),
        ({"filter": {"hair": "red"}}, "#/options/filter/hair"),
        ({"filter": {"age_from": 200}}, "#/options/filter/age_from"),
        ({"source_asset_ids": []}, "#/options/source_asset_ids"),
    ],
)
def test_wrong_types_are_named(client, source, target, options, pointer):
    answer = quote(client, source, target, **options)

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_request")
    assert answer.data["errors"][0]["pointer"].startswith(pointer)


def test_an_order_goes_to_the_engine(client, user, source, target):
    job = run(user, quote(client, source, target, target_faces="all", order="right_left"))

    lefts = [face["box_xyxy"][0] for face in job_of(client, job)["faces"]]
    assert lefts == sorted(lefts, reverse=True)


def test_what_is_said_twice_is_refused(client, source, target):
    answer = quote(
        client,
        source,
        target,
        order="left_right",
        spec={"selector": {"order": "left_right"}},
    )

    assert code_of(answer) == (422, "invalid_options", "options.spec.selector.order")
