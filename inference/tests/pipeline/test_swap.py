from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.engine import RECOGNISER
from inference.pipeline.errors import NoFaceFoundError, SeveralFacesError, StoppedError
from inference.pipeline.job import IdentityPictures, SwapRequest
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap import STAGES, swap_image
from inference.pipeline.types import Image
from inference.tests.pipeline.conftest import Recorder, faces_of

SOURCE_SIMILARITY_MIN = 0.45
SELF_SIMILARITY_MIN = 0.9


def swap(engine, source, target, *, observer=None, target_faces="one", source_faces="one"):
    return swap_image(
        engine=engine,
        request=SwapRequest(
            spec=SwapSpec(selector=SelectorOptions(mode=target_faces)),
            identities=[IdentityPictures([source], takes_largest=source_faces == "largest")],
        ),
        target_bgr=target,
        observer=observer or Recorder(),
    )


def identity(engine, image, *, landmarks=None):
    if landmarks is None:
        (face,) = faces_of(engine, image)
        landmarks = face.landmarks
    return embed_face(engine.model(RECOGNISER), image_bgr=image, landmarks=landmarks)


def face_region(engine, image: Image) -> np.ndarray:
    """Convex hull of the meshes and a tenth of the face width around them."""
    region = np.zeros(image.shape[:2], np.uint8)
    for face in faces_of(engine, image):
        hull = cv2.convexHull(np.rint(face.mesh[:, :2]).astype(np.int32))
        margin = max(3, round(0.1 * float(np.ptp(face.mesh[:, 0]))))
        one = np.zeros_like(region)
        cv2.fillConvexPoly(one, hull, 1)
        wide = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
        region |= np.asarray(cv2.dilate(one, wide), np.uint8)
    return region.astype(bool)


@pytest.fixture(scope="module")
def pictures(astronaut, hopper):
    return {"astronaut": astronaut, "hopper": hopper}


@pytest.mark.parametrize(("source", "target"), [("astronaut", "hopper"), ("hopper", "astronaut")])
def test_the_identity_moves(engine, pictures, source, target):
    result = swap(engine, pictures[source], pictures[target])
    # Found anew in the result, as somebody else's recogniser would.
    swapped = identity(engine, result.image_bgr)
    to_source = swapped.similarity(identity(engine, pictures[source]))
    to_target = swapped.similarity(identity(engine, pictures[target]))
    assert to_source > to_target
    assert to_source >= SOURCE_SIMILARITY_MIN
    (report,) = result.faces
    assert report.similarity_before < 0.3
    assert abs(report.similarity_after - to_source) < 0.05


@pytest.mark.parametrize("name", ["astronaut", "hopper"])
def test_a_swap_with_oneself_changes_little(engine, pictures, name):
    picture = pictures[name]
    result = swap(engine, picture, picture)
    assert result.faces[0].similarity_after >= SELF_SIMILARITY_MIN
    region = face_region(engine, picture)
    change = np.abs(result.image_bgr.astype(int) - picture.astype(int))[region].mean()
    assert 0 < change < 9


@pytest.mark.parametrize(("source", "target"), [("astronaut", "hopper"), ("hopper", "astronaut")])
def test_nothing_outside_the_face_changes(engine, pictures, source, target):
    before = pictures[target].copy()
    result = swap(engine, pictures[source], pictures[target])
    assert np.array_equal(pictures[target], before)
    changed = (result.image_bgr != before).any(axis=2)
    region = face_region(engine, before)
    assert not changed[~region].any()
    assert changed[region].mean() > 0.4


@pytest.mark.parametrize(("source", "target"), [("astronaut", "hopper"), ("hopper", "astronaut")])
def test_the_skin_keeps_the_light_of_the_target(engine, pictures, source, target):
    result = swap(engine, pictures[source], pictures[target]).image_bgr
    region = face_region(engine, pictures[target])
    before = pictures[target][region].mean(axis=0)
    after = result[region].mean(axis=0)
    assert np.abs(after - before).max() < 12


def test_the_same_job_gives_the_same_picture(engine, astronaut, hopper):
    first, second = (swap(engine, astronaut, hopper).image_bgr for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_target_works(engine, astronaut, hopper, turns):
    target = np.ascontiguousarray(np.rot90(hopper, turns))
    result = swap(engine, astronaut, target)
    assert result.image_bgr.shape == target.shape
    assert result.faces[0].similarity_after >= SOURCE_SIMILARITY_MIN


@pytest.mark.parametrize("angle", [-30, 30])
def test_a_tilted_target_works(engine, astronaut, hopper, angle):
    matrix = cv2.getRotationMatrix2D((256.0, 230.0), angle, 0.9)
    target = cv2.warpAffine(hopper, matrix, (512, 600)).astype(np.uint8)
    result = swap(engine, astronaut, target)
    assert result.faces[0].similarity_after >= SOURCE_SIMILARITY_MIN


@pytest.mark.parametrize(("source", "target"), [("astronaut", "hopper"), ("hopper", "astronaut")])
def test_a_face_of_64_px_works(engine, pictures, source, target):
    (face,) = faces_of(engine, pictures[target])
    factor = 64 / float(face.detection.box_xyxy[3] - face.detection.box_xyxy[1])
    small = cv2.resize(pictures[target], None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    result = swap(engine, pictures[source], small.astype(np.uint8))
    assert result.faces[0].similarity_after >= SOURCE_SIMILARITY_MIN


def test_a_large_face_uses_the_large_crop(engine, astronaut, hopper):
    target = cv2.resize(hopper, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    result = swap(engine, astronaut, target)
    assert result.faces[0].similarity_after >= SOURCE_SIMILARITY_MIN


def test_a_large_source_is_not_aliased(engine, astronaut, hopper):
    source = cv2.resize(hopper, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    large, plain = (swap(engine, one, astronaut).image_bgr for one in (source, hopper))
    region = face_region(engine, astronaut)
    assert np.abs(large.astype(int) - plain.astype(int))[region].mean() < 6


def test_all_faces_of_a_group_are_swapped(engine, astronaut, group):
    result = swap(engine, astronaut, group, target_faces="all")
    assert len(result.faces) == 2
    first, second = result.faces
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first.box_xyxy, second.box_xyxy)]
    assert area[0] > area[1]
    assert min(report.similarity_after for report in result.faces) >= SOURCE_SIMILARITY_MIN
    changed = (result.image_bgr != group).any(axis=2)
    assert not changed[~face_region(engine, group)].any()


def test_the_largest_face_alone_is_swapped(engine, astronaut, group):
    result = swap(engine, astronaut, group, target_faces="largest")
    assert len(result.faces) == 1
    assert np.array_equal(result.image_bgr[:, :512], group[:, :512])


def test_two_faces_where_one_is_needed_are_an_error(engine, astronaut, group):
    with pytest.raises(SeveralFacesError) as caught:
        swap(engine, astronaut, group)
    assert (caught.value.code, caught.value.count) == ("several_faces_in_target", 2)
    with pytest.raises(SeveralFacesError) as caught:
        swap(engine, group, astronaut)
    assert caught.value.code == "several_faces_in_source"
    largest = swap(engine, group, astronaut, source_faces="largest")
    assert largest.faces[0].similarity_before < 0.3


def test_a_picture_without_a_face_is_an_error(engine, photo, astronaut):
    with pytest.raises(NoFaceFoundError) as caught:
        swap(engine, photo("coffee.png"), astronaut)
    assert caught.value.code == "no_face_in_source"
    with pytest.raises(NoFaceFoundError) as caught:
        swap(engine, astronaut, photo("rocket.jpg"))
    assert caught.value.code == "no_face_in_target"
    assert caught.value.turned_away_count == 0


def test_a_profile_is_an_error_of_its_own(engine, photo, astronaut):
    with pytest.raises(NoFaceFoundError, match="turned too far") as caught:
        swap(engine, photo("camera.png"), astronaut)
    assert caught.value.code == "no_face_in_source"
    assert caught.value.turned_away_count == 1


def test_a_grey_target_stays_grey(engine, astronaut, hopper):
    grey = cv2.cvtColor(cv2.cvtColor(hopper, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    result = swap(engine, astronaut, grey.astype(np.uint8)).image_bgr.astype(int)
    assert (result.max(axis=2) - result.min(axis=2)).max() <= 2


def test_a_single_colour_or_tiny_picture_has_no_face(engine, astronaut):
    for target in (np.zeros((1, 1, 3), np.uint8), np.full((300, 20, 3), 255, np.uint8)):
        with pytest.raises(NoFaceFoundError):
            swap(engine, astronaut, target)


def test_a_face_at_the_edge_of_the_picture_works(engine, astronaut, hopper):
    target = np.ascontiguousarray(hopper[100:, 170:])
    result = swap(engine, astronaut, target)
    assert result.image_bgr.shape == target.shape
    assert result.faces[0].similarity_after > result.faces[0].similarity_before


def test_progress_runs_through_the_stages_in_order(engine, astronaut, hopper, recorder):
    swap(engine, astronaut, hopper, observer=recorder)
    assert tuple(dict.fromkeys(stage for stage, _ in recorder.heard)) == STAGES
    for stage in STAGES:
        fractions = [fraction for name, fraction in recorder.heard if name == stage]
        assert fractions == sorted(fractions)
        assert (fractions[0], fractions[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_stops_when_it_is_asked_to(engine, astronaut, group, stage):
    observer = Recorder(stop_at=stage)
    if stage == "blend":
        # The picture is finished within this stage; there is another look for each face.
        with pytest.raises(StoppedError):
            swap(engine, astronaut, group, observer=observer, target_faces="all")
        return
    with pytest.raises(StoppedError) as caught:
        swap(engine, astronaut, group, observer=observer, target_faces="all")
    assert caught.value.code == "stopped"
    assert STAGES.index(caught.value.stage) <= STAGES.index(stage) + 1


def test_threads_share_one_engine(engine, pictures):
    pairs = [("astronaut", "hopper"), ("hopper", "astronaut")] * 2

    def run(pair):
        source, target = pair
        return swap(engine, pictures[source], pictures[target]).image_bgr

    alone = {pair: run(pair) for pair in pairs[:2]}
    with ThreadPoolExecutor(max_workers=4) as pool:
        together = list(pool.map(run, pairs))
    for pair, picture in zip(pairs, together, strict=True):
        assert np.array_equal(picture, alone[pair])
