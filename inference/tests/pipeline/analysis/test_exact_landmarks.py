"""Landmarkers, recognisers and the classifier against float64 formulas of their contracts."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

from benchmarks.stand_ins.build import install_stand_ins
from benchmarks.stand_ins.pixels import ffhq_pattern, landmark_pattern
from inference.pipeline.analysis.analyser import (
    AnalysisOptions,
    FaceAnalyser,
    LandmarkerOptions,
)
from inference.pipeline.analysis.classifier import classify_face
from inference.pipeline.analysis.outlines import find_outline, guess_outline, head_angle
from inference.pipeline.analysis.recognisers import embed_face, embed_faces
from inference.pipeline.engine import RECOGNISER
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.registry.spec import Registry
from inference.pipeline.sessions.loading import SessionOptions
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.types import Detection
from inference.tests.pipeline import reference as ref

CROP_MODELS = ("2dfan4", "peppa_wutz")
BOX = (310.0, 120.0, 470.0, 360.0)
FIVE = ref.five_at(235, 205, 170, 14, seed=3)


def detection(box=BOX, points=FIVE):
    return Detection(
        box_xyxy=np.asarray(box, np.float32), points=np.asarray(points, np.float32), score=0.9
    )


def plain(rgb):
    return np.full((480, 640, 3), rgb[::-1], np.uint8)


def five_of(points):
    """Eye centres, tip of the nose, mouth corners of the 300-W scheme, counted from 1."""
    one_based = dict(enumerate(points, start=1))
    eyes = [sum(one_based[i] for i in group) / 6 for group in (range(37, 43), range(43, 49))]
    return np.stack([*eyes, one_based[31], one_based[49], one_based[55]])


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("key", CROP_MODELS)
def test_68_points_come_back_from_a_crop_of_195_px(stand_ins, key, angle):
    found = find_outline(
        stand_ins.get(key), image_bgr=plain((200, 200, 200)), detection=detection(), angle_deg=angle
    )
    # The head's longer side takes 195 of 256 px and its centre the middle; a head that is turned
    # clockwise by the angle is turned back for the network, so its points turn clockwise here.
    offset = (landmark_pattern() - 0.5) * 256 * (240 / 195)
    turn = np.deg2rad(angle)
    matrix = np.asarray([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    expected = offset @ matrix.T + [390, 240]
    assert found.outline is not None
    np.testing.assert_allclose(found.outline, expected, atol=0.01)
    np.testing.assert_allclose(found.five, five_of(expected), atol=0.01)
    assert found.score == 1


@pytest.mark.parametrize("key", CROP_MODELS)
@pytest.mark.parametrize("rgb", [(180, 0, 0), (0, 150, 0)])
def test_the_score_is_the_mean_confidence_over_the_full_one(stand_ins, key, rgb):
    found = find_outline(
        stand_ins.get(key), image_bgr=plain(rgb), detection=detection((200, 120, 360, 280))
    )
    # The stand-in's full score begins at a quarter of white.
    assert found.score == pytest.approx(sum(rgb) / 3 / 255 / 0.25, abs=1e-4)


def test_a_dark_face_is_brightened_for_the_network(stand_ins):
    noise = np.random.default_rng(0).integers(0, 40, (480, 640, 3)).astype(np.uint8)
    found = find_outline(stand_ins.get("2dfan4"), image_bgr=noise, detection=detection())
    plain_score = noise.mean() / 255 / 0.25
    assert found.score > plain_score * 1.2


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_68_points_are_guessed_from_five_on_the_ffhq_template(stand_ins, angle):
    five = ref.five_at(300, 250, 140, angle + 8, seed=5)
    found = guess_outline(stand_ins.get("fan_68_5"), five=five.astype(np.float32))
    matrix = ref.similarity(five, "ffhq_512", 1)
    on_template = np.stack(ref.move(matrix, *five.T), axis=1)
    pattern = ffhq_pattern()
    pattern = pattern + on_template.mean(axis=0) - five_of(pattern).mean(axis=0)
    expected = np.stack(ref.move(ref.invert(matrix), *pattern.T), axis=1)
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert head_angle(found) == angle


def reweighted(tmp_path, full_scores):
    """A pool whose landmarkers count another confidence as full, so that their scores differ."""
    registry = install_stand_ins(
        registry=load_registry(), keys=[*CROP_MODELS, "fan_68_5"], model_dir=tmp_path
    )
    models = dict(registry.models)
    for key, full in full_scores.items():
        params = MappingProxyType({**models[key].params, "score_full": full})
        models[key] = dataclasses.replace(models[key], params=params)
    return SessionPool(
        registry=Registry(models=models),
        model_dir=tmp_path,
        policy=LicencePolicy(),
        options=SessionOptions(),
    )


@pytest.mark.parametrize(
    ("fan", "peppa", "expected"), [(0.5, 0.65, 0.5), (0.5, 0.75, 0.75), (0.9, 0.5, 0.9)]
)
def test_the_first_landmarker_wins_unless_the_other_is_clearly_surer(
    tmp_path, fan, peppa, expected
):
    pool = reweighted(tmp_path, {"2dfan4": 0.9 / fan, "peppa_wutz": 0.95 / peppa})
    options = AnalysisOptions(landmarker=LandmarkerOptions(models=CROP_MODELS))
    found = FaceAnalyser(pool, options).landmarks_of(plain((200, 200, 200)), detection())
    assert found.score == pytest.approx(expected, abs=1e-4)


def test_arcface_sees_the_crop_that_its_template_says(stand_ins):
    model = stand_ins.get("arcface_w600k_r50")
    scenes = [(ref.Scene(seed), ref.five_at(220, 190, 230, 11 * seed, seed)) for seed in (1, 2)]
    for scene, five in scenes:
        found = embed_face(
            model, image_bgr=scene.image_bgr(460, 400), landmarks=ref.face_of(five).landmarks
        )
        expected = ref.embedding(scene, five)
        assert float(found.unit @ ref.unit(expected)) > 0.9999
        np.testing.assert_allclose(found.raw, expected, atol=0.02)
        assert np.linalg.norm(found.unit) == pytest.approx(1, abs=1e-6)


def test_faces_of_one_picture_go_through_together_and_stay_apart(stand_ins):
    model = stand_ins.get("arcface_w600k_r50")
    image = ref.Scene(1).image_bgr(460, 400)
    faces = [ref.face_of(ref.five_at(150 + 80 * i, 200, 120, i)).landmarks for i in range(3)]
    together = embed_faces(model, image_bgr=image, faces=faces)
    for face, found in zip(faces, together, strict=True):
        np.testing.assert_allclose(
            found.raw, embed_face(model, image_bgr=image, landmarks=face).raw, atol=1e-5
        )


def test_sface_takes_rgb_as_it_is_on_the_arcface_template(engine):
    """With a crop that no filter of ours has touched."""
    session = engine.model(RECOGNISER).session
    scene, five = ref.Scene(6, wave_px=40), ref.five_at(220, 190, 200, 9, 4)
    crop = scene.crop_rgb(five, "arcface_112_v2", 112)
    blob = np.ascontiguousarray(crop.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)
    expected = ref.unit(session.run(None, {"data": blob})[0][0].astype(np.float64))
    ours = embed_face(
        engine.model(RECOGNISER),
        image_bgr=scene.image_bgr(460, 400),
        landmarks=ref.face_of(five).landmarks,
    )
    assert float(ours.unit @ expected) > 0.999
    bgr = session.run(None, {"data": blob[:, ::-1].copy()})[0][0]
    assert float(ours.unit @ ref.unit(bgr)) < 0.99


AGES = [(0, 3), (3, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 120)]
RACES = ["white", "black", "latino", "asian", "asian", "indian", "arabic"]


@pytest.mark.parametrize("number", range(9))
def test_classes_mean_what_fairface_says(stand_ins, number):
    race, gender = number % 7, number % 2
    levels = [(race + 0.5) / 7, (gender + 0.5) / 2, (number + 0.5) / 9]
    image = plain([round(255 * level) for level in levels])
    found = classify_face(
        stand_ins.get("fairface"),
        image_bgr=image,
        landmarks=ref.face_of(FIVE).landmarks,
        with_race=True,
    )
    assert (found.age_from, found.age_to) == AGES[number]
    assert found.race == RACES[race]
    assert found.gender == ("female" if gender == 1 else "male")


def test_the_guess_at_the_race_stays_inside_unless_allowed(stand_ins):
    found = classify_face(
        stand_ins.get("fairface"),
        image_bgr=plain((10, 10, 10)),
        landmarks=ref.face_of(FIVE).landmarks,
        with_race=False,
    )
    assert found.race is None
