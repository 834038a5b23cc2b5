"""People of a target who are named by their place or their embedding."""

from __future__ import annotations

import numpy as np
import pytest

from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.engine import RECOGNISER
from inference.pipeline.errors import InvalidOptionsError, NoFaceFoundError
from inference.pipeline.job import IdentityPictures, SwapRequest, TargetPerson
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.selection.select import in_order
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap import swap_image
from inference.tests.pipeline.conftest import Recorder, faces_of


def swap(engine, target, *identities, people, distance_max=0.3, points=()):
    spec = SwapSpec(selector=SelectorOptions(mode="mapping", distance_max=distance_max))
    request = SwapRequest(
        spec=spec,
        identities=[IdentityPictures(images, points=points) for images in identities],
        people=people,
        matcher=RECOGNISER,
    )
    return swap_image(engine=engine, request=request, target_bgr=target, observer=Recorder())


def box_of(face) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in face.detection.box_xyxy)
    return (left, top, right, bottom)


def embedding_of(engine, image, face):
    return embed_face(engine.model(RECOGNISER), image_bgr=image, landmarks=face.landmarks)


def test_the_place_tells_one_person_from_her_own_double(engine, astronaut, hopper):
    twins = np.hstack([astronaut, astronaut])
    _left, right = in_order(faces_of(engine, twins), "left_right")

    result = swap(engine, twins, [hopper], people=[TargetPerson(box_xyxy=box_of(right))])

    (report,) = result.faces
    assert report.person == 0
    assert report.box_xyxy == box_of(right)
    half = astronaut.shape[1]
    assert (result.image_bgr[:, : half - 50] == twins[:, : half - 50]).all()


def test_whoever_is_known_and_not_meant_keeps_her_face(engine, astronaut, hopper, group):
    left, right = in_order(faces_of(engine, group), "left_right")
    meant = TargetPerson(identity=0, embedding=embedding_of(engine, group, left))
    known = TargetPerson(identity=None, embedding=embedding_of(engine, group, right))

    # So wide that everybody counts as anybody.
    both = swap(engine, group, [hopper], people=[meant], distance_max=1)
    one = swap(engine, group, [hopper], people=[known, meant], distance_max=1)

    assert len(both.faces) == 2
    assert [(face.person, face.box_xyxy) for face in one.faces] == [(1, box_of(left))]


def test_a_point_chooses_the_source_in_a_group(engine, astronaut, hopper, group):
    left, _right = in_order(faces_of(engine, group), "left_right")
    (face,) = faces_of(engine, hopper)
    point = tuple(float(value) for value in left.landmarks.five[2])

    result = swap(
        engine,
        hopper,
        [group],
        people=[TargetPerson(box_xyxy=box_of(face))],
        points=[point],
    )

    after = embedding_of(engine, result.image_bgr, face)
    own = embedding_of(engine, hopper, face)
    (astronaut_face,) = faces_of(engine, astronaut)
    given = embedding_of(engine, astronaut, astronaut_face)
    assert given.similarity(after) > given.similarity(own) + 0.2


def test_a_point_beside_every_face_is_no_source(engine, hopper, group):
    (face,) = faces_of(engine, hopper)

    with pytest.raises(NoFaceFoundError) as refusal:
        swap(
            engine,
            hopper,
            [group],
            people=[TargetPerson(box_xyxy=box_of(face))],
            points=[(1.0, 1.0)],
        )
    assert refusal.value.code == "no_face_in_source"


def test_nobody_at_the_place_is_nobody_found(engine, astronaut, hopper):
    with pytest.raises(NoFaceFoundError):
        swap(engine, hopper, [astronaut], people=[TargetPerson(box_xyxy=(0, 0, 20, 20))])


def test_a_person_must_be_shown_somehow(engine, astronaut, hopper):
    with pytest.raises(InvalidOptionsError, match="who is meant"):
        swap(engine, hopper, [astronaut], people=[TargetPerson()])


def test_a_mapping_that_means_nobody_is_refused(engine, astronaut, hopper):
    people = [TargetPerson(identity=None, box_xyxy=(0, 0, 20, 20))]

    with pytest.raises(InvalidOptionsError, match="mapping"):
        swap(engine, hopper, [astronaut], people=people)
