"""Detectors against float64 loops over their published formulas, and planted faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference.pipeline.analysis import anchors, yoloface, yunet
from inference.pipeline.analysis.candidates import suppress_overlaps
from inference.pipeline.analysis.detection import DetectorOptions, detect_faces
from inference.pipeline.errors import InvalidOptionsError

STRIDES = (8, 16, 32)
COLOURS = {8: "G", 16: "B", 32: "R"}
POINTS = np.asarray([(-0.8, -0.6), (0.8, -0.6), (0.0, 0.1), (-0.6, 0.9), (0.6, 0.9)])
PUBLISHED = ("retinaface_10g", "scrfd_2.5g", "yoloface_8n", "yunet_2023_mar")
# Cells of the detector's 640 px: stride, column, row, strength of the marker.
CELLS = ((8, 21, 30, 255), (16, 26, 12, 240), (32, 8, 5, 225))
SIDE = 160


def random_cells(seed, width, *, anchors_per_cell=1):
    """Numbers as a network could give them, per stride."""
    random = np.random.default_rng(seed)
    counts = [(width // stride) ** 2 * anchors_per_cell for stride in STRIDES]
    return random, counts


def scrfd_reference(outputs, width, score_min):
    rows = []
    for index, stride in enumerate(STRIDES):
        for number in range(len(outputs[index])):
            score = float(outputs[index][number, 0])
            if score < score_min:
                continue
            cell = number // 2
            x, y = cell % (width // stride) * stride, cell // (width // stride) * stride
            left, up, right, down = (float(value) * stride for value in outputs[index + 3][number])
            row = [x - left, y - up, x + right, y + down]
            for point in range(5):
                row.append(x + float(outputs[index + 6][number, 2 * point]) * stride)
                row.append(y + float(outputs[index + 6][number, 2 * point + 1]) * stride)
            rows.append([*row, score])
    return np.asarray(rows)


@pytest.mark.parametrize("has_batch_axis", [False, True])
def test_scrfd_and_retinaface_decode_as_published(has_batch_axis):
    random, counts = random_cells(1, SIDE, anchors_per_cell=2)
    outputs = [
        random.uniform(0, 1, (count, width)).astype(np.float32)
        for width in (1, 4, 10)
        for count in counts
    ]
    expected = scrfd_reference(outputs, SIDE, 0.8)
    given_outputs = [output[np.newaxis] if has_batch_axis else output for output in outputs]
    rows = anchors.decode(
        tuple(given_outputs),
        strides=list(STRIDES),
        anchors_per_cell=2,
        width_px=SIDE,
        score_min=0.8,
    )
    assert len(rows) > 100
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-4)


def test_yolo_face_decodes_as_published():
    output = np.random.default_rng(2).uniform(0, 1, (1, 20, 300)).astype(np.float32)
    output[0, :4] *= 640
    expected = []
    for x, y, width, height, score, *points in output[0].T.astype(np.float64):
        if score > 0.7:
            box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
            expected.append([*box, *(points[i] for i in range(15) if i % 3 != 2), score])
    rows = yoloface.decode(output, score_min=0.7)
    assert len(rows) > 50
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-4)


def test_yunet_decodes_as_published():
    random, counts = random_cells(3, SIDE)
    outputs = [
        random.uniform(-0.2 if width < 4 else -1, 1.2, (1, count, width)).astype(np.float32)
        for width in (1, 1, 4, 10)
        for count in counts
    ]
    expected = []
    for index, stride in enumerate(STRIDES):
        classes, objects, boxes, points = (
            outputs[index + 3 * part][0].astype(np.float64) for part in range(4)
        )
        for cell in range(counts[index]):
            limited = [min(max(value[cell, 0], 0), 1) for value in (classes, objects)]
            score = (limited[0] * limited[1]) ** 0.5
            if score < 0.8:
                continue
            column, row = cell % (SIDE // stride), cell // (SIDE // stride)
            x, y = (column + boxes[cell, 0]) * stride, (row + boxes[cell, 1]) * stride
            width, height = np.exp(boxes[cell, 2]) * stride, np.exp(boxes[cell, 3]) * stride
            places = [
                ((column, row)[number % 2] + points[cell, number]) * stride for number in range(10)
            ]
            box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
            expected.append([*box, *places, score])
    rows = yunet.decode(tuple(outputs), width_px=SIDE, score_min=0.8)
    assert len(rows) > 30
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-3)


# No two of the boxes, whose sides are whole, overlap by exactly these: at the edge of a limit the
# rounding of either implementation would decide.
@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([0.1001, 0.3001, 0.4001]))
@example(seed=1, count=15, overlap_max=0.1001)
def test_suppression_equals_that_of_opencv(seed, count, overlap_max):
    random = np.random.default_rng(seed)
    rows = np.zeros((count, 15), np.float32)
    rows[:, :2] = random.integers(0, 60, (count, 2))
    rows[:, 2:4] = rows[:, :2] + random.integers(10, 50, (count, 2))
    rows[:, 14] = random.permutation(count) / 100 + 0.5
    boxes = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), rows[:, 14].tolist(), 0.1, overlap_max)
    ours = suppress_overlaps(rows, overlap_max=overlap_max)
    np.testing.assert_array_equal(ours, rows[np.asarray(kept).reshape(-1)])


def marked(cells, *, width=1280, height=960, scale=2):
    """Grey with one square of a pure colour per planted face; ``scale`` px a detector's px."""
    image = np.full((height, width, 3), 70, np.uint8)
    for stride, column, row, strength in cells:
        side = stride * scale
        colour = [0, 0, 0]
        colour["BGR".index(COLOURS[stride])] = strength
        image[row * side : (row + 1) * side, column * side : (column + 1) * side] = colour
    return image


def planted(cells, scale=2):
    """(box, points, score) in px of the picture, best first."""
    found = []
    for stride, column, row, strength in cells:
        centre = (np.asarray([column, row]) + 0.5) * stride * scale
        reach = 2 * stride * scale
        points = centre + POINTS * stride * scale
        found.append(([*(centre - reach), *(centre + reach)], points, strength / 255))
    return sorted(found, key=lambda face: -face[2])


def check(found, expected):
    assert len(found) == len(expected)
    for face, (box, points, score) in zip(found, expected, strict=True):
        np.testing.assert_allclose(face.box_xyxy, box, atol=0.01)
        np.testing.assert_allclose(face.points, points, atol=0.01)
        assert face.score == pytest.approx(score, abs=1e-4)


def look(pool, image, *models, **options):
    chosen = DetectorOptions(models=models, score_min=0.5, **options)
    return detect_faces([pool.get(key) for key in models], image_bgr=image, options=chosen)


@pytest.mark.parametrize("key", PUBLISHED)
def test_planted_faces_come_back_in_px_of_the_picture(stand_ins, key):
    check(look(stand_ins, marked(CELLS), key, angles=(0,)), planted(CELLS))


@pytest.mark.parametrize("size", [160, 320, 480, 512, 640])
def test_anchors_work_at_every_offered_size(stand_ins, size):
    cells = [(8, 5, 6, 255), (16, 5, 2, 240)]
    scale = 1280 // size if 1280 % size == 0 else 2
    image = marked(cells, width=size * scale, height=size * scale, scale=scale)
    found = look(stand_ins, image, "scrfd_2.5g", angles=(0,), size_px=size)
    check(found, planted(cells, scale))


@pytest.mark.parametrize("key", PUBLISHED)
def test_a_small_picture_is_not_enlarged(stand_ins, key):
    cells = [(16, 6, 6, 255)]
    image = marked(cells, width=240, height=200, scale=1)
    check(look(stand_ins, image, key, angles=(0,)), planted(cells, 1))


@pytest.mark.parametrize("key", PUBLISHED)
@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_turned_look_gives_turned_points(stand_ins, key, angle):
    """np.rot90 turns to the left, so what is right of the middle there is above it here."""
    cells = [(16, 26, 12, 240)]
    (box, points, score) = planted(cells)[0]
    centre = (np.asarray(box[:2]) + box[2:]) / 2
    turn = np.deg2rad(angle)
    matrix = np.asarray([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned = centre + (points - centre) @ matrix.T
    found = look(stand_ins, marked(cells), key, angles=(angle,))
    check(found, [(box, turned, score)])


def test_looks_at_several_angles_are_merged(stand_ins):
    found = look(stand_ins, marked(CELLS), "yoloface_8n", angles=(0, 90, 180, 270))
    boxes = sorted(face.box_xyxy.tolist() for face in found)
    expected = sorted(list(box) for box, _, _ in planted(CELLS))
    np.testing.assert_allclose(boxes, expected, atol=0.01)


def test_several_detectors_are_merged_and_the_best_score_stays(stand_ins):
    check(look(stand_ins, marked(CELLS), *PUBLISHED[:3], angles=(0,)), planted(CELLS))


def test_a_margin_finds_a_face_at_the_edge_and_keeps_its_place(stand_ins):
    # 320 x 320 with half of it added at the left and top: 480 x 480, shrunk to nothing smaller.
    cells = [(16, 0, 0, 255)]
    image = marked(cells, width=320, height=320, scale=1)
    found = look(stand_ins, image, "scrfd_2.5g", angles=(0,), margin_percent=(100, 0, 0, 100))
    check(found, planted(cells, 1))
    assert found[0].box_xyxy[0] < 0


@pytest.mark.parametrize(
    ("param", "options"),
    [
        ("detector.models", {"models": ()}),
        ("detector.size_px", {"size_px": 641}),
        ("detector.score_min", {"score_min": 0.0}),
        ("detector.angles", {"angles": (45,)}),
        ("detector.margin_percent", {"margin_percent": (0, 0, 0, 101)}),
        ("detector.faces_max", {"faces_max": 0}),
    ],
)
def test_wrong_options_are_refused_by_name(param, options):
    with pytest.raises(InvalidOptionsError) as caught:
        DetectorOptions(**options)
    assert caught.value.param == param
