"""Trembling is damped, motion is not, and a segment comes out as the whole would have."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest

from inference.pipeline.filters import blur
from inference.pipeline.job import IdentityPictures, SwapRequest, prepare_job
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap_video import VideoRun, for_video
from inference.pipeline.tracking.options import TrackerOptions
from inference.pipeline.tracking.smoothing import LandmarkFilter, PointFilter
from inference.pipeline.types import Landmarks
from inference.pipeline.video.types import Frame

FPS = 25
STEP_S = 1 / FPS
STRENGTH = TrackerOptions().smoothing
WIDTH_PX = 100.0
# Of one coordinate of one point, as the face mesh has it on a photograph with grain.
TREMBLE_PX = 0.15


@pytest.fixture(scope="module")
def shape(engine, astronaut):
    """A real mesh, 100 px wide, around the origin."""
    from inference.tests.pipeline.conftest import faces_of  # noqa: PLC0415

    mesh = faces_of(engine, astronaut)[0].mesh
    mesh = mesh - mesh.mean(axis=0)
    return (mesh * (WIDTH_PX / np.ptp(mesh[:, 0]))).astype(np.float32)


def placed(shape, *, x=0.0, y=0.0, angle=0.0, scale=1.0):
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    plane = shape[:, :2] @ np.asarray([[cosine, sine], [-sine, cosine]]) + (300 + x, 200 + y)
    return np.column_stack([plane, shape[:, 2] * scale]).astype(np.float32)


def trembling(shape, *, seed):
    """Each point for itself, and, less, all of them together."""
    generator = np.random.default_rng(seed)
    own = generator.normal(0, TREMBLE_PX, shape.shape)
    return (own + generator.normal(0, TREMBLE_PX / 3, (1, 3))).astype(np.float32)


def run(meshes, *, strength=STRENGTH):
    smoothing = PointFilter(strength=strength)
    return [smoothing.apply(mesh, step_s=STEP_S) for mesh in meshes]


def change(meshes):
    return np.mean([np.abs(b - a)[:, :2].mean() for a, b in pairwise(meshes)])


def test_the_trembling_of_a_face_at_rest_falls_to_two_fifths(shape):
    found = [placed(shape) + trembling(shape, seed=frame) for frame in range(75)]
    smooth = run(found)
    assert change(smooth[10:]) < 0.4 * change(found[10:])
    centre = np.mean(smooth[25:], axis=0) - placed(shape)
    assert np.abs(centre).mean() < TREMBLE_PX / 2, "and it stays where it is"


def sway(period_s, reach_px):
    return lambda at: {"x": reach_px * np.sin(2 * np.pi * at / period_s)}


@pytest.mark.parametrize(
    ("motion", "share_max"),
    [
        (lambda at: {"x": 20 * at}, 0.005),
        (lambda at: {"x": 500 * at}, 0.005),
        (sway(2.0, 60), 0.005),
        (sway(0.8, 120), 0.01),
        (lambda at: {"y": 0.0 if at < 1 else 80.0}, 0.003),
        (lambda at: {"angle": 0.6 * np.sin(2 * np.pi * at)}, 0.01),
        (lambda at: {"scale": 1 + 0.4 * at}, 0.005),
    ],
    ids=["slow", "fast", "sway", "shake", "jump", "turn", "zoom"],
)
def test_a_head_that_moves_is_not_left_behind(shape, motion, share_max):
    true = [placed(shape, **motion(frame * STEP_S)) for frame in range(60)]
    smooth = run(true)
    away = [
        np.linalg.norm((a - b)[:, :2], axis=1).mean() for a, b in zip(smooth, true, strict=True)
    ]
    assert max(away) < share_max * WIDTH_PX


def test_lids_and_lips_are_not_left_behind(shape):
    lids, lips = [159, 386], [14, 17]
    true = []
    for frame in range(60):
        mesh = placed(shape)
        blink = np.interp(frame, [20, 23, 25, 29], [0, 1, 1, 0])
        mesh[lids, 1] += 0.05 * WIDTH_PX * blink
        mesh[lips, 1] += 0.08 * WIDTH_PX * (0.5 - 0.5 * np.cos(2 * np.pi * 4 * frame * STEP_S))
        true.append(mesh)
    smooth = run(true)
    lid_away = max(np.abs((a - b)[lids, 1]).max() for a, b in zip(smooth, true, strict=True))
    assert lid_away < 0.2 * 0.05 * WIDTH_PX
    opening = [float(mesh[14, 1]) for mesh in smooth[10:]]
    assert np.ptp(opening) > 0.9 * 0.08 * WIDTH_PX, "four syllables a second"


def landmarks(*, dense=None, outline=None, five=None, score=0.8):
    five = np.zeros((5, 2), np.float32) if five is None else five
    return Landmarks(five=five, score=score, dense=dense, outline=outline)


def test_landmarks_of_any_kind_are_smoothed_and_all_parts_agree(shape):
    generator = np.random.default_rng(3)
    dense, outline = placed(shape), placed(shape)[:68, :2]
    five = placed(shape)[[33, 263, 1, 61, 291], :2]
    for found in (
        landmarks(dense=dense),
        landmarks(five=five, outline=outline),
        landmarks(five=five),
    ):
        smoothing = LandmarkFilter(strength=STRENGTH)
        out = []
        for _ in range(50):
            moved = {
                name: value + generator.normal(0, TREMBLE_PX, value.shape).astype(np.float32)
                for name in ("dense", "five", "outline")
                if (value := getattr(found, name)) is not None
            }
            out.append(smoothing.apply(replace(found, **moved), step_s=STEP_S))
        raw = TREMBLE_PX * 2 / np.sqrt(np.pi)
        assert change([np.asarray(item.five) for item in out[10:]]) < 0.6 * raw
        assert (out[-1].dense is None) == (found.dense is None)
        assert out[-1].score == found.score
        if found.dense is not None:
            assert out[-1].outline is not None
    off = LandmarkFilter(strength=0)
    assert off.apply(found, step_s=STEP_S) is found


def test_another_set_of_points_begins_anew(shape):
    smoothing = LandmarkFilter(strength=1.0)
    first, second = landmarks(dense=placed(shape)), landmarks(five=placed(shape, x=90)[:5, :2])
    smoothing.apply(first, step_s=STEP_S)
    np.testing.assert_allclose(smoothing.apply(second, step_s=STEP_S).five, second.five, atol=1e-3)
    again = landmarks(dense=placed(shape, x=50))
    smooth = smoothing.apply(again, step_s=STEP_S).dense
    assert smooth is not None
    np.testing.assert_allclose(smooth, placed(shape, x=50), atol=1e-3)


# --- with pictures


def with_grain(image_bgr, count, *, move=lambda _at: (0.0, 0.0), levels=3.0):
    """A picture that moves as told, in px, with fresh grain in each frame."""
    height, width = image_bgr.shape[:2]
    generator = np.random.default_rng(9)
    for index in range(count):
        x, y = move(index * STEP_S)
        shift = np.asarray([[1.0, 0, x], [0, 1.0, y]])
        moved = cv2.warpAffine(
            image_bgr.astype(np.float32),
            shift,
            (width, height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        grainy = moved + generator.normal(0, levels, moved.shape)
        yield np.clip(np.rint(grainy), 0, 255).astype(np.uint8)


def job_of(engine, source_bgr, *, smoothing=STRENGTH):
    spec = SwapSpec(
        selector=SelectorOptions(mode="largest"), tracker=TrackerOptions(smoothing=smoothing)
    )
    identities = [IdentityPictures([source_bgr])]
    return prepare_job(
        engine=engine, request=SwapRequest(spec=for_video(spec), identities=identities)
    )


def painted(job, images, *, first=0, lead_in=0):
    """Frames from ``first`` on, as a segment that begins there renders them."""
    video = VideoRun(job, fps=FPS, first_frame=first)
    results = []
    for index, image_bgr in enumerate(images[first - lead_in :], start=-lead_in):
        frame = Frame(
            image_bgr=image_bgr,
            alpha=None,
            index=index,
            time_s=Fraction(index, FPS),
            is_lead_in=index < 0,
        )
        parts = video.track(frame)
        if index >= 0:
            results.append(video.paint(frame, parts))
    return results


def flicker(results, inside):
    soft = [blur(result.astype(np.float32), sigma=1.5) for result in results]
    return np.mean([np.abs(b - a)[inside].mean() for a, b in pairwise(soft)])


def test_the_flicker_of_a_still_clip_is_halved(engine, astronaut, hopper):
    images = list(with_grain(astronaut, 25))
    plain = painted(job_of(engine, hopper, smoothing=0), images)
    smooth = painted(job_of(engine, hopper), images)
    inside = np.abs(plain[0].astype(int) - images[0]).max(axis=2) > 2
    assert inside.sum() > 2_000
    # 0.42 of it was left when this was written; the grain of the target itself is a part of that.
    assert flicker(smooth[5:], inside) < 0.55 * flicker(plain[5:], inside)


def test_a_segment_comes_out_as_the_whole_would_have(engine, astronaut, hopper):
    images = list(
        with_grain(
            astronaut,
            50,
            move=lambda at: (25 * np.sin(2 * np.pi * at), 12 * np.sin(np.pi * at)),
        )
    )
    job = job_of(engine, hopper)
    whole = painted(job, images)
    part = painted(job, images, first=40, lead_in=25)
    assert len(part) == 10
    for mine, theirs, before in zip(part, whole[40:], images[40:], strict=True):
        inside = np.abs(theirs.astype(int) - before).max(axis=2) > 2
        assert np.abs(mine.astype(int) - theirs)[inside].mean() < 1


def test_a_face_that_comes_back_elsewhere_is_not_smeared(engine, astronaut, hopper):
    empty = np.full_like(astronaut, 90)
    away = np.roll(astronaut, 150, axis=1)
    job = job_of(engine, hopper, smoothing=1.0)
    video = VideoRun(job, fps=FPS)
    for index, image_bgr in enumerate([astronaut] * 4 + [empty] * 4 + [away] * 2):
        frame = Frame(
            image_bgr=image_bgr, alpha=None, index=index, time_s=Fraction(index), is_lead_in=False
        )
        parts = video.track(frame)
    found = max(job.analyser.find(away).faces, key=lambda face: face.area_px)
    off = np.linalg.norm(parts[0].cast.face.mesh[:, :2] - found.mesh[:, :2], axis=1).mean()
    assert off < 0.02 * np.ptp(found.mesh[:, 0])
