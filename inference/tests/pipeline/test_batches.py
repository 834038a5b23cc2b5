"""Several faces go through a model together, and come out as they would one by one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from inference.pipeline.analysis.recognisers import embed_face, embed_faces
from inference.pipeline.enhancers.face import FaceEnhancer, FaceEnhancerOptions
from inference.pipeline.frame import Assignment, Painter, swap_frame
from inference.pipeline.masks.combine import MaskMaker, MaskOptions
from inference.pipeline.sessions.batching import run_batch
from inference.pipeline.sessions.running import PlainRunner
from inference.pipeline.swappers.base import SourcePicture
from inference.pipeline.swappers.catalogue import SwapperOptions, open_swapper
from inference.tests.pipeline import reference as ref

SCENE = ref.Scene(21)
WIDTH, HEIGHT = 1100, 420
FACES = [
    ref.face_of(ref.five_at(170 + 370 * place, 200, 90, -9 + 12 * place, seed=place))
    for place in range(3)
]


class CountingRunner:
    """Runs a session, and writes down how many items each run had."""

    def __init__(self, model):
        self._runner = PlainRunner(model.session, has_arena=False)
        self.counts: list[int] = []

    def run(self, names, feed, *, shrink):
        self.counts.append(len(next(iter(feed.values()))))
        return self._runner.run(names, feed, shrink=shrink)


def counted(pool, key):
    model = pool.get(key)
    runner = CountingRunner(model)
    return dataclasses.replace(model, runner=runner), runner.counts


@pytest.mark.parametrize(("count", "runs"), [(1, [1]), (16, [16]), (20, [16, 4])])
def test_a_batch_is_bounded_and_equals_single_runs(stand_ins, count, runs):
    model, counts = counted(stand_ins, "arcface_w600k_r50")
    blob = np.random.default_rng(4).normal(0, 1, (count, 3, 112, 112)).astype(np.float32)
    (together,) = run_batch(model, {"input": blob})
    assert counts == runs
    for index in range(count):
        (alone,) = model.run({"input": blob[index : index + 1]})
        np.testing.assert_allclose(together[index : index + 1], alone, atol=1e-5)


def test_faces_of_a_picture_are_recognised_together(stand_ins):
    model, counts = counted(stand_ins, "arcface_w600k_r50")
    image = SCENE.image_bgr(WIDTH, HEIGHT)
    together = embed_faces(model, image_bgr=image, faces=[face.landmarks for face in FACES])
    assert counts == [3]
    for face, found in zip(FACES, together, strict=True):
        alone = embed_face(model, image_bgr=image, landmarks=face.landmarks)
        np.testing.assert_allclose(found.raw, alone.raw, atol=1e-5)


@pytest.mark.parametrize(("key", "weight"), [("gfpgan_1.4", 0.5), ("codeformer", 0.8)])
def test_faces_are_enhanced_together(stand_ins, key, weight):
    image = SCENE.image_bgr(WIDTH, HEIGHT)
    enhancer = FaceEnhancer(stand_ins, FaceEnhancerOptions(model=key, weight=weight))
    together, apart = image.copy(), image.copy()
    enhancer.enhance_all(together, FACES)
    for face in FACES:
        enhancer.enhance(apart, face)
    assert (together != image).any()
    np.testing.assert_array_equal(together, apart)


@pytest.mark.parametrize("key", ["uniface_256", "inswapper_128"])
def test_faces_are_swapped_and_enhanced_together(stand_ins, key):
    image = SCENE.image_bgr(WIDTH, HEIGHT)
    swapper = open_swapper(stand_ins, SwapperOptions(model=key))
    source = swapper.prepare([SourcePicture(image_bgr=image, landmarks=FACES[0].landmarks)])
    painter = Painter(
        swapper=swapper,
        masks=MaskMaker(stand_ins, MaskOptions()),
        enhancer=FaceEnhancer(stand_ins, FaceEnhancerOptions()),
    )
    rounds: list[int] = []
    together = swap_frame(
        image,
        painter=painter,
        assignments=[Assignment(face=face, source=source) for face in FACES],
        on_faces=rounds.append,
    )
    assert rounds == [0], "one run for all three"
    apart = image
    for face in FACES:
        apart = swap_frame(
            apart, painter=painter, assignments=[Assignment(face=face, source=source)]
        )
    assert (together != image).any()
    assert np.abs(together.astype(int) - apart).max() <= 1
