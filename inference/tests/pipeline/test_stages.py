from __future__ import annotations

import importlib.metadata

import cv2
import numpy as np
import pytest

from inference.pipeline.aligner import (
    align_face,
    fit_similarity,
    invert,
    scale_of,
    transform_mesh,
    warp,
)
from inference.pipeline.analysis.detection import DetectorOptions, detect_faces
from inference.pipeline.analysis.face_mesh import find_landmarks
from inference.pipeline.analysis.recognisers import SAME_PERSON_MIN, embed_face
from inference.pipeline.engine import DETECTOR, LANDMARKER, RECOGNISER
from inference.pipeline.masks.cover import find_cover_of_target, has_spectacles
from inference.pipeline.masks.skin import COVER_CLEAR, skin_distance
from inference.pipeline.paste.blend import paste_into
from inference.pipeline.registry.load import load_registry
from inference.pipeline.swappers.base import SourcePicture, SwapTarget
from inference.pipeline.swappers.mesh import MeshSwapper
from inference.pipeline.swappers.mesh_shape import fit_weights, shape_basis
from inference.pipeline.swappers.mesh_texture import prepare_source
from inference.pipeline.topology import face_topology, five_points, vertex_facing
from inference.tests.pipeline.conftest import faces_of


@pytest.fixture(scope="module")
def faces(engine, astronaut, hopper):
    return {
        name: (image, faces_of(engine, image)[0])
        for name, image in (("astronaut", astronaut), ("hopper", hopper))
    }


def aligned(faces, name, size=256):
    image, face = faces[name]
    return align_face(image, landmarks=face.landmarks, template="arcface_128", size_px=size)


# --- detector


def test_boxes_equal_those_of_opencv(engine, group):
    origin = load_registry().spec("face_detector_yunet").origin
    assert origin is not None
    distribution = importlib.metadata.distribution(origin.distribution)
    height, width = 512, 928
    picture = cv2.resize(group, (width, height)).astype(np.uint8)
    opencv = cv2.FaceDetectorYN.create(
        str(distribution.locate_file(origin.path)), "", (width, height), 0.6, 0.3
    )
    # Shrunk first, as ours does, so that both networks see the same pixels.
    small = cv2.resize(picture, (640, 353), interpolation=cv2.INTER_AREA)
    opencv.setInputSize((640, 353))
    _, rows = opencv.detect(small)
    found = detect_faces(
        [engine.model(DETECTOR)],
        image_bgr=small.astype(np.uint8),
        options=DetectorOptions(score_min=0.6),
    )
    assert len(found) == len(rows) == 2
    for face, row in zip(found, sorted(rows, key=lambda row: -row[14]), strict=True):
        left, top, box_width, box_height = row[:4]
        expected = [left, top, left + box_width, top + box_height]
        assert np.abs(face.box_xyxy - expected).max() < 0.01
        assert np.abs(face.points.reshape(-1) - row[4:14]).max() < 0.01
        assert abs(face.score - row[14]) < 1e-3


@pytest.mark.parametrize("name", ["coffee.png", "rocket.jpg"])
def test_pictures_without_a_face_have_none(engine, photo, name):
    assert (
        detect_faces(
            [engine.model(DETECTOR)], image_bgr=photo(name), options=DetectorOptions(score_min=0.6)
        )
        == []
    )


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_gives_the_turned_box(engine, hopper, turns):
    (upright,) = detect_faces(
        [engine.model(DETECTOR)], image_bgr=hopper, options=DetectorOptions(score_min=0.7)
    )
    turned = np.ascontiguousarray(np.rot90(hopper, turns))
    found = detect_faces(
        [engine.model(DETECTOR)], image_bgr=turned, options=DetectorOptions(score_min=0.7)
    )[0]
    corners = upright.box_xyxy.reshape(2, 2)
    width, height = hopper.shape[1], hopper.shape[0]
    for _ in range(turns):
        corners = np.stack([corners[:, 1], width - corners[:, 0]], axis=1)
        width, height = height, width
    expected = corners.mean(axis=0)
    centre = found.box_xyxy.reshape(2, 2).mean(axis=0)
    assert np.linalg.norm(centre - expected) < 30


def test_a_small_face_in_a_large_picture_is_found(engine, astronaut):
    canvas = np.full((2400, 2400, 3), 128, dtype=np.uint8)
    canvas[1500:1628, 300:428] = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    found = detect_faces(
        [engine.model(DETECTOR)], image_bgr=canvas, options=DetectorOptions(score_min=0.7)
    )
    assert len(found) == 1
    assert 300 < found[0].box_xyxy[0] < 428


# --- landmarks


@pytest.mark.parametrize("angle", [0, 30, 90, 135, 180, 270])
def test_the_mesh_turns_with_the_head(engine, astronaut, faces, angle):
    _, upright = faces["astronaut"]
    canvas = cv2.copyMakeBorder(astronaut, 120, 120, 120, 120, cv2.BORDER_REFLECT)
    matrix = cv2.getRotationMatrix2D((332.0, 256.0), angle, 1.0)
    turned = cv2.warpAffine(canvas, matrix, (752, 752), borderMode=cv2.BORDER_REFLECT)
    detections = detect_faces(
        [engine.model(DETECTOR)],
        image_bgr=turned.astype(np.uint8),
        options=DetectorOptions(score_min=0.7),
    )
    moved = upright.mesh + np.asarray([120, 120, 0], np.float32)
    expected = transform_mesh(moved, np.asarray(matrix, np.float64))
    unit = np.ptp(upright.mesh[:, 0])
    errors = []
    for detection in detections:
        face = find_landmarks(
            engine.model(LANDMARKER), image_bgr=turned.astype(np.uint8), detection=detection
        )
        error = np.linalg.norm(face.mesh[:, :2] - expected[:, :2], axis=1).mean() / unit
        errors.append((error, face.landmarks.score))
    error, score = min(errors)
    assert error < 0.035
    assert score > 0.5


def test_a_profile_is_below_the_gate(engine, photo):
    camera = photo("camera.png")
    (detection,) = detect_faces(
        [engine.model(DETECTOR)], image_bgr=camera, options=DetectorOptions(score_min=0.8)
    )
    face = find_landmarks(engine.model(LANDMARKER), image_bgr=camera, detection=detection)
    assert face.landmarks.score < 0.5


def test_the_five_points_lie_where_the_detector_sees_them(faces):
    for _, face in faces.values():
        unit = np.linalg.norm(face.detection.points[1] - face.detection.points[0])
        error = np.linalg.norm(five_points(face.mesh) - face.detection.points, axis=1)
        assert error.max() < 0.35 * unit


def test_a_frontal_mesh_faces_the_camera(faces):
    for _, face in faces.values():
        facing = vertex_facing(face.mesh)
        assert facing[1] > 0.5
        assert np.median(facing) > 0.5


# --- topology


def test_the_mirror_is_its_own_inverse_and_keeps_the_rings():
    face = face_topology()
    assert np.array_equal(face.mirror[face.mirror], np.arange(468))
    assert set(face.mirror[face.left_eye]) == set(face.right_eye)
    assert set(face.mirror[face.oval]) == set(face.oval)


def test_the_tables_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        face_topology().uv[0] = 0


# --- recogniser


def test_one_person_is_nearer_to_herself_than_to_another(engine, faces):
    vectors = {}
    for name, (image, face) in faces.items():
        vectors[name] = embed_face(
            engine.model(RECOGNISER), image_bgr=image, landmarks=face.landmarks
        )
        mirrored = np.ascontiguousarray(image[:, ::-1])
        (other,) = faces_of(engine, mirrored)
        again = embed_face(engine.model(RECOGNISER), image_bgr=mirrored, landmarks=other.landmarks)
        assert vectors[name].similarity(again) > 0.8
        assert abs(float(np.linalg.norm(again.unit)) - 1) < 1e-5
    assert vectors["astronaut"].similarity(vectors["hopper"]) < SAME_PERSON_MIN


# --- aligner


def test_a_similarity_is_recovered_exactly():
    rng = np.random.default_rng(3)
    points = rng.uniform(0, 200, (5, 2))
    cosine, sine = 1.7 * np.cos(2.2), 1.7 * np.sin(2.2)
    truth = np.asarray([[cosine, -sine, 11.0], [sine, cosine, -40.0]])
    target = points @ truth[:, :2].T + truth[:, 2]
    fitted = fit_similarity(points, target)
    assert np.abs(fitted - truth).max() < 1e-9
    assert abs(scale_of(fitted) - 1.7) < 1e-9
    identity = np.vstack([fitted, [0, 0, 1]]) @ np.vstack([invert(fitted), [0, 0, 1]])
    assert np.abs(identity - np.eye(3)).max() < 1e-9


def test_a_fit_never_mirrors():
    points = np.asarray([[0.0, 0], [10, 0], [10, 10], [0, 10], [5, 2]])
    fitted = fit_similarity(points, points * [-1, 1])
    assert np.linalg.det(fitted[:, :2]) > 0


def test_shrinking_averages_instead_of_skipping():
    # One-pixel stripes: any point-wise filter gives stripes or a flat wrong level.
    stripes = np.zeros((512, 512, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    matrix = np.asarray([[0.125, 0, 0], [0, 0.125, 0]])
    small = warp(stripes, matrix=matrix, size_px=(64, 64))
    inside = small[4:-4, 4:-4]
    assert np.abs(inside - 127.5).max() < 3


def test_shrinking_keeps_things_in_place():
    spot = np.zeros((400, 400), dtype=np.uint8)
    cv2.circle(spot, (250, 130), 30, 255, -1)
    matrix = np.asarray([[0.2, -0.1, 20.0], [0.1, 0.2, 3.0]])
    small = warp(spot, matrix=matrix, size_px=(100, 100))
    rows, columns = np.mgrid[0:100, 0:100]
    centre = np.asarray([(small * columns).sum(), (small * rows).sum()]) / small.sum()
    expected = matrix[:, :2] @ [250, 130] + matrix[:, 2]
    assert np.abs(centre - expected).max() < 0.1


# --- masks


def test_spectacles_are_seen_where_there_are_some(faces):
    found = {}
    for name in faces:
        face = aligned(faces, name)
        found[name] = has_spectacles(face.crop_bgr, points=face.mesh[:, :2])
    assert found == {"astronaut": False, "hopper": True}


@pytest.mark.parametrize("size", [256, 512])
def test_hair_and_hat_cover_the_face_and_the_face_itself_does_not(faces, size):
    for name in faces:
        face = aligned(faces, name, size)
        cover = find_cover_of_target(face)
        assert cover.visible.shape == (size, size)
        assert cover.visible.dtype == np.float32
        middle = face.mesh[[1, 4, 50, 280, 13, 199, 33, 263], :2]
        for x, y in middle:
            assert cover.visible[round(float(y)), round(float(x))] > 0.95
        # Above the forehead there is hair, or the hat.
        above = round(float(face.mesh[10, 1] - 0.07 * size))
        assert cover.visible[above, size // 2] < 0.1, name


def test_only_side_pieces_of_spectacles_are_taken_away(faces):
    plain, with_frame = (find_cover_of_target(aligned(faces, n)) for n in ("astronaut", "hopper"))
    assert plain.temples is None
    assert np.array_equal(plain.clean_bgr, aligned(faces, "astronaut").crop_bgr)
    crop = aligned(faces, "hopper").crop_bgr
    changed = (with_frame.clean_bgr != crop).any(axis=2)
    assert changed.any()
    assert with_frame.temples is not None
    temples = np.zeros(changed.shape, np.float32)
    temples[with_frame.temples.rows] = with_frame.temples.mask
    assert not changed[temples == 0].any()
    assert changed.mean() < 0.04


# --- swapper


def test_the_shape_basis_fits_any_pose(faces):
    shape = face_topology().mean_shape
    basis = shape_basis(shape).astype(np.float64)
    weights = fit_weights()[:, np.newaxis]
    assert np.abs(basis.T @ (weights * basis) - np.eye(4)).max() < 1e-5
    pose = shape @ np.asarray([[0.9, 0.3], [-0.2, 1.1], [0.4, -0.5]]) + [7, -3]
    assert np.abs(basis @ (basis.T @ (weights * pose)) - pose).max() < 1e-4


@pytest.fixture(scope="module")
def sources(faces):
    return {name: prepare_source(aligned(faces, name, 512), swapper_size_px=256) for name in faces}


def test_a_batch_gives_what_single_runs_give(engine, faces, sources):
    model = engine.model("mesh_swapper_256")
    feeds = []
    for name in ("astronaut", "hopper"):
        target = aligned(faces, name)
        cover = find_cover_of_target(target)
        other = sources["hopper" if name == "astronaut" else "astronaut"]
        feeds.append(
            {
                "source": other.texture,
                "source_basis": other.basis,
                "target": target.crop_bgr[:, :, ::-1].transpose(2, 0, 1).astype(np.float32) / 255,
                "target_points": target.mesh / np.float32(256),
                "target_visible": cover.visible[np.newaxis],
            }
        )
    both = {key: np.stack([feed[key] for feed in feeds]) for key in feeds[0]}
    batch, _ = model.run(both)
    for index, feed in enumerate(feeds):
        single, _ = model.run({key: value[np.newaxis] for key, value in feed.items()})
        # Nearest-neighbour sampling may flip single texels on rounding.
        assert np.abs(batch[index] - single[0]).mean() < 1e-3


def test_a_batch_of_faces_gives_what_single_faces_give(engine, faces):
    swapper = MeshSwapper(engine.pool)
    image, face = faces["astronaut"]
    prepared = swapper.prepare([SourcePicture(image_bgr=image, landmarks=face.landmarks)])
    targets = [SwapTarget(aligned=aligned(faces, name)) for name in ("astronaut", "hopper")]
    for both, target in zip(swapper.swap(targets, prepared), targets, strict=True):
        (alone,) = swapper.swap([target], prepared)
        assert np.abs(both.crop_bgr - alone.crop_bgr).mean() < 0.3
        assert both.mask is not None
        assert alone.mask is not None
        assert np.abs(both.mask - alone.mask).mean() < 1e-3


def test_a_crop_of_the_wrong_size_is_refused(engine, faces):
    swapper = MeshSwapper(engine.pool)
    image, face = faces["astronaut"]
    prepared = swapper.prepare([SourcePicture(image_bgr=image, landmarks=face.landmarks)])
    with pytest.raises(ValueError, match="256"):
        swapper.swap([SwapTarget(aligned=aligned(faces, "hopper", 300))], prepared)


def test_the_source_texture_has_no_hair_on_the_forehead(sources):
    texture = np.ascontiguousarray(sources["astronaut"].texture[:, :, 2::-1])
    distance = skin_distance(texture, points=face_topology().uv * 1024)
    forehead = distance[60:230, 380:640]
    assert forehead.max() < COVER_CLEAR
    # Her eyes are no skin, so the measure tells the difference.
    assert distance[300:380, 280:420].max() > COVER_CLEAR


# --- blend


def test_pasting_a_face_beside_the_picture_changes_nothing(astronaut):
    crop, mask = np.zeros((64, 64, 3), np.float32), np.ones((64, 64), np.float32)
    far = np.asarray([[1.0, 0, 5000.0], [0, 1.0, 0]])
    pasted = astronaut.copy()
    paste_into(pasted, crop_bgr=crop, mask=mask, matrix=far)
    assert np.array_equal(pasted, astronaut)


def test_pasting_rounds_and_touches_only_the_mask():
    picture = np.full((80, 80, 3), 100, dtype=np.uint8)
    mask = np.zeros((40, 40), np.float32)
    mask[10:30, 10:30] = 1
    crop = np.full((40, 40, 3), 149.7, np.float32)
    shift = np.asarray([[1.0, 0, -20.0], [0, 1.0, -20.0]])
    result = picture.copy()
    paste_into(result, crop_bgr=crop, mask=mask, matrix=shift)
    assert (result[34:46, 34:46] == 150).all()
    untouched = np.ones((80, 80), bool)
    untouched[28:52, 28:52] = False
    assert (result[untouched] == 100).all()
