"""Faces keep their tracks: followed, crossing, hidden for a while."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from inference.pipeline.analysis.analyser import AnalysisOptions, FaceAnalyser
from inference.pipeline.analysis.detection import DetectorOptions
from inference.pipeline.analysis.recognisers import SAME_PERSON_MIN, embed_face
from inference.pipeline.engine import LANDMARKER, RECOGNISER
from inference.pipeline.tracking.options import TrackerOptions
from inference.pipeline.tracking.tracker import FaceTracker
from inference.pipeline.types import Detection, Image, Landmarks

WIDTH, HEIGHT = 640, 480


class CountingAnalyser(FaceAnalyser):
    """Does its work, and counts it."""

    looks_count = 0
    landmarks_count = 0

    def detect(self, image_bgr: Image):
        self.looks_count += 1
        return super().detect(image_bgr)

    def landmarks_of(self, image_bgr: Image, detection: Detection) -> Landmarks:
        self.landmarks_count += 1
        return super().landmarks_of(image_bgr, detection)


@pytest.fixture
def analyser(engine):
    detector = DetectorOptions(angles=(0,), looks_again=False)
    return CountingAnalyser(engine.pool, AnalysisOptions(detector=detector))


def tracker_of(engine, analyser, *, with_mesh=True, **options):
    return FaceTracker(
        analyser=analyser,
        mesh_model=engine.model(LANDMARKER) if with_mesh else None,
        options=replace(TrackerOptions(), **options),
        fps=25.0,
    )


@pytest.fixture(scope="module")
def heads(astronaut, hopper):
    """Both heads without their surroundings' edges, and where they are seen through."""
    cut = []
    for picture, (left, top, right, bottom) in (
        (astronaut, (150, 20, 300, 220)),
        (hopper, (150, 50, 390, 370)),
    ):
        head = cv2.resize(picture[top:bottom, left:right], (150, 200), interpolation=cv2.INTER_AREA)
        mask = np.zeros((200, 150, 1), np.float32)
        cv2.ellipse(mask, (75, 100), (62, 88), 0, 0, 360, (1.0,), -1)
        cut.append((head.astype(np.float32), cv2.GaussianBlur(mask, (0, 0), 5)[:, :, np.newaxis]))
    return cut


def paint(heads, places):
    """A grey frame with heads at x, y of their upper left corner; later ones in front."""
    frame = np.full((HEIGHT, WIDTH, 3), 110, np.float32)
    for (head, mask), (x, y) in zip(heads, places, strict=True):
        part = frame[y : y + 200, x : x + 150]
        part += (head - part) * mask
    return np.rint(frame).astype(np.uint8)


def test_faces_that_are_followed_need_no_landmarks_of_a_look(engine, analyser, heads):
    tracker = tracker_of(engine, analyser, detect_every=5)
    for number in range(21):
        frame = paint(heads, [(60 + 2 * number, 100), (400, 120)])
        tracked = tracker.update(frame, number=number)
        assert [entry.track for entry in tracked] == [0, 1]
    assert analyser.looks_count == 5
    assert analyser.landmarks_count == 2, "once for each face, in the first frame"


def test_looks_fall_on_the_same_frames_wherever_a_run_begins(engine, analyser, heads):
    looks: dict[int, list[int]] = {}
    for first in (0, 13):
        tracker, looks[first] = tracker_of(engine, analyser, detect_every=10), []
        for number in range(first, 42):
            before = analyser.looks_count
            tracker.update(paint(heads, [(60, 100), (400, 120)]), number=number)
            if analyser.looks_count > before:
                looks[first].append(number)
    assert looks == {0: [0, 10, 20, 30, 40], 13: [13, 20, 30, 40]}


def test_without_a_mesh_every_frame_is_searched(engine, analyser, heads):
    tracker = tracker_of(engine, analyser, with_mesh=False)
    for number in range(4):
        tracked = tracker.update(paint(heads, [(60, 100), (400, 120)]), number=number)
        assert sorted(entry.track for entry in tracked) == [0, 1]
    assert analyser.looks_count == 4
    assert analyser.landmarks_count == 8


def test_faces_that_cross_keep_their_tracks(engine, analyser, heads):
    model = engine.model(RECOGNISER)

    def who(frame, entry):
        return embed_face(model, image_bgr=frame, landmarks=entry.face.landmarks)

    tracker = tracker_of(engine, analyser)
    people = []
    for number in range(61):
        step = 7 * number
        frame = paint(heads, [(20 + step, 60), (460 - step, 180)])
        tracked = tracker.update(frame, number=number)
        assert [entry.track for entry in tracked] == [0, 1]
        if number in (0, 60):
            people.append([who(frame, entry) for entry in tracked])
    assert tracker.tracks_count == 2
    (first, second), (first_later, second_later) = people
    assert first.similarity(first_later) > SAME_PERSON_MIN > first.similarity(second_later)
    assert second.similarity(second_later) > SAME_PERSON_MIN > second.similarity(first_later)
    boxes = [entry.face.detection.box_xyxy[0] for entry in tracked]
    assert abs(boxes[0] - boxes[1]) > 300, "they have changed sides"


@pytest.mark.parametrize(("hidden", "tracks"), [(6, 1), (20, 2)])
def test_a_face_that_was_hidden_is_found_again(engine, analyser, heads, hidden, tracks):
    tracker = tracker_of(engine, analyser, lost_frames_max=12)
    seen = []
    for number in range(10 + hidden):
        is_hidden = 5 <= number < 5 + hidden
        frame = paint(heads[:1], [(200, 100)]) if not is_hidden else paint([], [])
        seen.append([entry.track for entry in tracker.update(frame, number=number)])
    assert seen[:5] == [[0]] * 5
    assert seen[5 : 5 + hidden] == [[]] * hidden
    assert seen[-1] == [tracks - 1]
    assert tracker.tracks_count == tracks
