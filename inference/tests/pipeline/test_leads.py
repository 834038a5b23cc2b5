"""Which face the mode ``largest`` means in a video, whoever renders which part of it."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.engine import RECOGNISER
from inference.pipeline.job import IdentityPictures, SwapRequest
from inference.pipeline.selection.leads import LeadingFace, find_leads
from inference.pipeline.selection.options import DISTANCE_DEFAULT, SelectorOptions
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap_video import VideoPaths, swap_video
from inference.pipeline.tracking.tracker import TrackedFace
from inference.pipeline.types import Detection, Embedding, Face, Landmarks
from inference.pipeline.video.samples import sample_frames
from inference.pipeline.video.segments import plan_segments
from inference.pipeline.video.types import OutputOptions, TranscodeOptions, Trim
from inference.tests.pipeline.conftest import Recorder, faces_of
from inference.tests.pipeline.video.media import LIMITS, Clip, make_clip, number_of

WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 10, 6
HALF = SECONDS * FPS // 2


# --- samples


@pytest.mark.parametrize(
    ("trim", "count", "numbers"),
    [
        (None, 3, [0, 50, 100]),
        (None, 200, [0, 25, 50, 75, 100, 125]),
        (Trim(start_s=Fraction(2), end_s=Fraction(4)), 4, [50, 75]),
    ],
)
def test_samples_are_the_key_frames_before_evenly_spread_places(tmp_path, trim, count, numbers):
    path = make_clip(
        tmp_path / "in.mp4",
        Clip(times=range(0, 150 * 512, 512), encoder={"g": "25", "keyint_min": "25"}),
    )
    frames = list(sample_frames(path, count=count, limits=LIMITS, trim=trim))
    assert [number_of(frame) for frame in frames] == numbers


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.ts"])
def test_a_single_key_frame_is_shown_once(tmp_path, name):
    tick_s = {"in.mp4": Fraction(1, 12800), "in.mkv": Fraction(1, 1000)}.get(
        name, Fraction(1, 90_000)
    )
    step = round(Fraction(1, 25) / tick_s)
    path = make_clip(
        tmp_path / name,
        Clip(times=range(0, 60 * step, step), tick_s=tick_s, encoder={"g": "999"}),
    )
    frames = list(sample_frames(path, count=5, limits=LIMITS))
    assert [number_of(frame) for frame in frames] == [0]


# --- the choice


def person(*, angle: float) -> Embedding:
    vector = np.asarray([np.cos(angle), np.sin(angle), 0], np.float32)
    return Embedding(raw=vector, unit=vector)


ANNA, BERTA, CLARA = person(angle=0), person(angle=2), person(angle=4)


def seen(track: int, side: float) -> TrackedFace:
    box = np.asarray([0, 0, side, side], np.float32)
    five = np.zeros((5, 2), np.float32)
    return TrackedFace(
        track=track,
        face=Face(
            detection=Detection(box_xyxy=box, points=five, score=0.9),
            landmarks=Landmarks(five=five, score=1.0),
        ),
    )


class Looks:
    """Answers who a track is, and counts how often it is asked."""

    def __init__(self, **people: Embedding) -> None:
        self._people = {int(name[1:]): person for name, person in people.items()}
        self.count = 0

    def __call__(self, entry: TrackedFace) -> Embedding:
        self.count += 1
        return self._people[entry.track]


def test_a_single_face_costs_no_look():
    def nobody() -> tuple[Embedding, ...]:
        raise AssertionError("asked without need")

    leading = LeadingFace(leads=nobody, distance_max=0.3)
    looks = Looks()
    assert leading.choose([seen(3, 50)], embedding_of=looks).track == 3
    assert looks.count == 0


def test_the_lead_is_chosen_whatever_the_sizes_and_the_beginning():
    looks = Looks(t0=BERTA, t1=ANNA)
    for first in range(4):
        leading = LeadingFace(leads=lambda: (ANNA, BERTA), distance_max=0.3)
        for frame in range(first, 60):
            faces = [seen(0, 50 + frame % 3), seen(1, 51)]
            assert leading.choose(faces, embedding_of=looks).track == 1
    assert looks.count == 4 * 2, "who is recognised is not looked at again"


def test_who_is_no_lead_keeps_her_part_while_she_lives():
    looks = Looks(t0=CLARA, t1=CLARA, t2=ANNA)
    leading = LeadingFace(leads=lambda: (ANNA,), distance_max=0.3)
    chosen = [
        leading.choose([seen(0, 50), seen(1, 49 + frame % 3)], embedding_of=looks).track
        for frame in range(30)
    ]
    assert set(chosen) == {0}
    assert looks.count == 2 * 2, "a second look after 25 frames"
    assert leading.choose([seen(1, 40), seen(3, 30)], embedding_of=Looks(t1=CLARA, t3=CLARA)).track
    returns = [seen(1, 90), seen(2, 20)]
    assert leading.choose(returns, embedding_of=looks).track == 2, "the lead goes before all others"


def test_without_leads_the_first_largest_stays():
    leading = LeadingFace(leads=tuple, distance_max=0.3)
    looks = Looks()
    sides = [(40, 50), (60, 50), (70, 50)]
    for left, right in sides:
        assert leading.choose([seen(0, left), seen(1, right)], embedding_of=looks).track == 1
    assert leading.choose([seen(0, 70), seen(2, 90)], embedding_of=looks).track == 2
    assert looks.count == 0


# --- real faces


def mesh_area(face):
    """What the tracker goes by."""
    return float(np.ptp(face.mesh[:, :2], axis=0).prod())


@pytest.fixture(scope="module")
def equal_portraits(engine, astronaut, hopper):
    """Both portraits at a size at which the boxes of their faces have one area."""
    portraits = []
    for picture in (hopper, astronaut):
        area = mesh_area(faces_of(engine, picture)[0])
        factor = (100 * 100 / area) ** 0.5
        portraits.append(
            cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        )
    return portraits


def scene(portraits, scales):
    """Hopper to the left and the astronaut to the right, each scaled around its middle."""
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for place, (portrait, scale) in enumerate(zip(portraits, scales, strict=True)):
        large = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        part = large[:HEIGHT, : WIDTH // 2]
        left = place * WIDTH // 2 + (WIDTH // 2 - part.shape[1]) // 2
        picture[: part.shape[0], left : left + part.shape[1]] = part
    return picture


def test_people_are_told_apart_and_ordered_by_what_they_take_up(engine, equal_portraits):
    model = engine.model(RECOGNISER)

    def embed(image_bgr, face):
        return embed_face(model, image_bgr=image_bgr, landmarks=face.landmarks)

    for scales, first in (((1.1, 1.0), 0), ((0.9, 1.0), 1)):
        image_bgr = scene(equal_portraits, scales)
        leads = find_leads(
            [image_bgr] * 3,
            find=lambda image: faces_of(engine, image),
            embed=embed,
            distance_max=DISTANCE_DEFAULT,
        )
        assert len(leads) == 2
        by_place = sorted(faces_of(engine, image_bgr), key=lambda face: face.detection.box_xyxy[0])
        assert leads[0].similarity(embed(image_bgr, by_place[first])) > 0.99


@pytest.fixture
def clip(tmp_path, equal_portraits):
    """Hopper is a little larger in the first half, the astronaut in the second; a key a second."""

    def paint(number, size):
        tremble = 0.004 * (number % 2)
        scales = (1.12 + tremble, 1.0) if number < HALF else (1.0 + tremble, 1.08)
        return scene(equal_portraits, scales)

    return make_clip(
        tmp_path / "in.mp4",
        Clip(
            size=(WIDTH, HEIGHT),
            times=range(0, SECONDS * FPS * 512, 512),
            tick_s=Fraction(1, FPS * 512),
            fps=Fraction(FPS),
            encoder={"g": str(FPS), "keyint_min": str(FPS), "crf": "14"},
            paint=paint,
        ),
    )


def pixels_of(path):
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="bgr24").astype(int) for frame in file.decode(video=0)]


def swapped_sides(engine, source_bgr, clip, result, **arguments):
    """For each frame the side that the swap has changed more, and by how much more."""
    swap_video(
        engine=engine,
        request=SwapRequest(
            spec=SwapSpec(selector=SelectorOptions(mode="largest")),
            identities=[IdentityPictures([source_bgr], takes_largest=True)],
        ),
        paths=VideoPaths(target=clip, result=result),
        options=TranscodeOptions(
            limits=LIMITS,
            output=OutputOptions(container="mp4", quality=95),
            lead_in_frames=8 if arguments else 0,
        ),
        observer=Recorder(),
        **arguments,
    )
    sides = []
    segment = arguments.get("segment")
    first = 0 if segment is None else segment.first_frame
    for after, before in zip(pixels_of(result), pixels_of(clip)[first:], strict=False):
        left, right = (
            np.abs(after - before)[:, part].mean()
            for part in (slice(0, WIDTH // 2), slice(WIDTH // 2, WIDTH))
        )
        assert max(left, right) > 2 * min(left, right)
        sides.append("left" if left > right else "right")
    return sides


def test_segments_agree_on_one_of_two_faces_of_about_one_size(engine, astronaut, clip, tmp_path):
    plan = plan_segments(clip, target_s=3, limits=LIMITS)
    assert [segment.first_frame for segment in plan] == [0, HALF]
    whole = swapped_sides(engine, astronaut, clip, tmp_path / "whole.mp4")
    parts = [
        swapped_sides(engine, astronaut, clip, tmp_path / f"part{segment.index}", segment=segment)
        for segment in plan
    ]
    assert whole == ["left"] * SECONDS * FPS
    assert parts == [["left"] * HALF, ["left"] * HALF]
    # By size alone the second half would have gone to the other face.
    faces = faces_of(engine, pixels_of(clip)[HALF].astype(np.uint8))
    sizes = {face.mesh[:, 0].mean() > WIDTH / 2: mesh_area(face) for face in faces}
    assert sizes[False] < sizes[True] < 1.2 * sizes[False]
