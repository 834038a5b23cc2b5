"""Who gets whose face: several identities, references, mappings; and faces followed in a video."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from benchmarks.stand_ins.build import install_stand_ins
from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.builtin.build import build_builtin_models
from inference.pipeline.engine import RECOGNISER, Engine
from inference.pipeline.enhancers.face import FaceEnhancerOptions
from inference.pipeline.errors import InvalidOptionsError, ModelMissingError, NoFaceFoundError
from inference.pipeline.job import IdentityPictures, SwapRequest, TargetPerson, prepare_job
from inference.pipeline.paste.colour import ColourOptions
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.selection.select import face_id, in_order
from inference.pipeline.sessions.loading import SessionOptions
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap import swap_image
from inference.pipeline.swap_video import VideoRun, for_video
from inference.pipeline.video.types import Frame
from inference.tests.pipeline.conftest import Recorder, faces_of


def request(mode, *identities, people=(), **selector):
    return SwapRequest(
        spec=SwapSpec(selector=SelectorOptions(mode=mode, **selector)),
        identities=[IdentityPictures(images) for images in identities],
        people=people,
    )


def swap(engine, target, wanted):
    return swap_image(engine=engine, request=wanted, target_bgr=target, observer=Recorder())


def identity_of(engine, image, landmarks):
    return embed_face(engine.model(RECOGNISER), image_bgr=image, landmarks=landmarks)


def test_a_mapping_gives_each_face_its_own_identity(engine, astronaut, hopper, group):
    left, right = in_order(faces_of(engine, group), "left_right")
    people = [
        TargetPerson(image_bgr=group, identity=1, point=tuple(left.landmarks.five[2])),
        TargetPerson(image_bgr=group, identity=0, point=tuple(right.landmarks.five[2])),
    ]
    # Each of the two gets the other's face.
    wanted = request("mapping", [astronaut], [hopper], people=people)
    result = swap(engine, group, wanted)
    assert len(result.faces) == 2
    for face, own, given in ((left, astronaut, hopper), (right, hopper, astronaut)):
        after = identity_of(engine, result.image_bgr, face.landmarks)
        own_id = identity_of(engine, own, faces_of(engine, own)[0].landmarks)
        given_id = identity_of(engine, given, faces_of(engine, given)[0].landmarks)
        assert after.similarity(given_id) > after.similarity(own_id)


def test_a_reference_swaps_the_person_it_shows(engine, astronaut, hopper, group):
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    wanted = request("reference", [hopper], people=[TargetPerson(image_bgr=mirrored)])
    result = swap(engine, group, wanted)
    (face,) = result.faces
    assert face.box_xyxy[2] < 512, "the astronaut stands on the left"
    assert np.array_equal(result.image_bgr[:, 600:], group[:, 600:])


def test_a_reference_who_is_not_there_is_an_error(engine, astronaut, hopper):
    wanted = request("reference", [hopper], people=[TargetPerson(image_bgr=astronaut)])
    with pytest.raises(NoFaceFoundError) as caught:
        swap(engine, hopper, wanted)
    assert caught.value.code == "no_face_in_target"


def test_a_reference_without_a_face_is_an_error(engine, astronaut, photo):
    wanted = request("reference", [astronaut], people=[TargetPerson(image_bgr=photo("coffee.png"))])
    with pytest.raises(NoFaceFoundError):
        swap(engine, astronaut, wanted)


def test_several_pictures_make_one_identity(engine, astronaut, hopper):
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    job = prepare_job(engine=engine, request=request("one", [astronaut, mirrored]))
    (both,) = job.identity_embeddings
    assert abs(float(np.linalg.norm(both.unit)) - 1) < 1e-5
    single = identity_of(engine, astronaut, faces_of(engine, astronaut)[0].landmarks)
    assert both.similarity(single) > 0.9


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        (lambda picture: request("one"), "sources"),
        (lambda picture: request("one", []), "sources"),
        (lambda picture: request("all", [picture], [picture]), "sources"),
        (lambda picture: request("reference", [picture]), "selector.mode"),
        (lambda picture: request("mapping", [picture]), "selector.mode"),
        (
            lambda picture: request(
                "mapping", [picture], people=[TargetPerson(image_bgr=picture, identity=1)]
            ),
            "mapping",
        ),
        (
            lambda picture: request(
                "reference",
                [picture],
                people=[TargetPerson(image_bgr=picture)],
                reference_position=1,
            ),
            "selector.reference_position",
        ),
    ],
)
def test_people_and_identities_must_fit_the_mode(engine, astronaut, wanted, param):
    with pytest.raises(InvalidOptionsError) as caught:
        prepare_job(engine=engine, request=wanted(astronaut))
    assert caught.value.param == param


def test_orders_and_names_of_faces(engine, group):
    faces = faces_of(engine, group)
    by_place = in_order(faces, "left_right")
    assert [id(face) for face in in_order(faces, "right_left")] == [
        id(face) for face in by_place[::-1]
    ]
    assert in_order(faces, "large_small")[0].area_px >= in_order(faces, "large_small")[1].area_px
    names = [face_id(asset_sha256="00", frame_no=0, face=face) for face in by_place]
    again = [
        face_id(asset_sha256="00", frame_no=0, face=face)
        for face in in_order(faces_of(engine, group), "left_right")
    ]
    assert names == again
    assert len(set(names)) == 2
    assert names != [face_id(asset_sha256="00", frame_no=1, face=face) for face in by_place]


def test_a_spec_names_an_enhancer_and_matches_colours(engine, tmp_path, astronaut, hopper):
    key = "gfpgan_1.4"
    registry = load_registry()
    build_builtin_models(registry=registry, model_dir=tmp_path, on_done=lambda report: None)
    with_enhancer = SessionPool(
        registry=install_stand_ins(registry=registry, keys=[key], model_dir=tmp_path),
        model_dir=tmp_path,
        policy=LicencePolicy(),
        options=SessionOptions(),
    )
    identities = [IdentityPictures([astronaut])]

    def run(which, spec):
        wanted = SwapRequest(spec=spec, identities=identities)
        return swap(which, hopper, wanted).image_bgr.astype(int)

    plain = run(engine, SwapSpec())
    matched = run(engine, SwapSpec(colour=ColourOptions(strength=1.0)))
    assert 0 < np.abs(matched - plain).mean() < 5
    with pytest.raises(ModelMissingError, match=r"gfpgan_1\.4"):
        run(engine, SwapSpec(face_enhancer=FaceEnhancerOptions()))
    enhanced = run(Engine(with_enhancer), SwapSpec(face_enhancer=FaceEnhancerOptions()))
    assert (enhanced != plain).any()


# --- video


def run_over(job, frames, *, fps=25):
    run = VideoRun(job, fps=fps)
    parts = []
    for index, image in enumerate(frames):
        frame = Frame(
            image_bgr=image,
            alpha=None,
            index=index,
            time_s=Fraction(index, fps),
            is_lead_in=False,
        )
        parts.append((frame, run.track(frame)))
    return run, parts


def moving(image, count, *, step=4):
    """The picture shifted to the right by ``step`` px a frame."""
    height, width = image.shape[:2]
    for index in range(count):
        shift = np.asarray([[1.0, 0, step * index], [0, 1.0, 0]])
        moved = cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        yield np.asarray(moved, np.uint8)


def video_job(engine, wanted):
    spec = for_video(wanted.spec)
    return prepare_job(
        engine=engine,
        request=SwapRequest(spec=spec, identities=wanted.identities, people=wanted.people),
    )


def test_a_moving_face_keeps_its_track_and_is_found_where_it_is(engine, astronaut, hopper):
    job = video_job(engine, request("largest", [astronaut]))
    frames = list(moving(hopper, 16))
    run, parts = run_over(job, frames)
    assert run._tracker.tracks_count == 1
    assert run.faces_swapped == 16
    for frame, (part,) in parts:
        found = faces_of(engine, frame.image_bgr)[0]
        off = np.linalg.norm(part.cast.face.mesh[:, :2] - found.mesh[:, :2], axis=1).mean()
        assert off < 0.03 * float(np.ptp(found.mesh[:, 0]))


def test_a_face_that_comes_late_is_swapped_from_then_on(engine, astronaut, hopper):
    job = video_job(engine, request("largest", [astronaut]))
    empty = np.full_like(hopper, 90)
    run, parts = run_over(job, [empty] * 6 + [hopper] * 4)
    assert [len(casts) for _, casts in parts] == [0] * 6 + [1] * 4
    untouched, casts = parts[0]
    assert run.paint(untouched, casts) is untouched.image_bgr


def test_a_scene_cut_begins_new_tracks(engine, astronaut, hopper):
    job = video_job(engine, request("all", [astronaut]))
    other = cv2.resize(astronaut, (hopper.shape[1], hopper.shape[0])).astype(np.uint8)
    run, _ = run_over(job, [hopper] * 3 + [other] * 3)
    assert run._tracker.tracks_count == 2


def test_two_faces_keep_their_people_while_they_move(engine, astronaut, hopper, group):
    people = [TargetPerson(image_bgr=hopper, identity=0)]
    job = video_job(engine, request("reference", [astronaut], people=people))
    run, parts = run_over(job, list(moving(group, 8, step=6)))
    assert run._tracker.tracks_count == 2
    for index, (_, casts) in enumerate(parts):
        assert len(casts) == 1
        assert casts[0].cast.face.detection.box_xyxy[0] > 512 + 6 * index
