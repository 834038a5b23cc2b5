"""Several faces go through a model together, and come out as they would one by one."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
import pytest
from onnx import TensorProto

from benchmarks.stand_ins.build import build_stand_in
from benchmarks.stand_ins.pixels import StandInOptions
from inference.pipeline.analysis.recognisers import embed_face, embed_faces
from inference.pipeline.builtin.graph import Graph
from inference.pipeline.enhancers.face import FaceEnhancer, FaceEnhancerOptions
from inference.pipeline.enhancers.frame import FrameEnhancer, FrameEnhancerOptions
from inference.pipeline.frame import Assignment, Painter, swap_frame
from inference.pipeline.masks.combine import MaskMaker, MaskOptions
from inference.pipeline.masks.networks import occlusion_masks, region_masks
from inference.pipeline.registry.load import load_registry
from inference.pipeline.sessions.batching import run_batch
from inference.pipeline.sessions.loading import SessionOptions, open_session
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


class Counted:
    """A pool that lends one model, and writes down how many items each of its runs had."""

    def __init__(self, registry, model):
        self.registry = registry
        self._runner = CountingRunner(model)
        self._model = dataclasses.replace(model, runner=self._runner)
        self.counts = self._runner.counts

    def get(self, key):
        assert key == self._model.spec.key
        return self._model


def codeformer(path, *, pictures, weights):
    """A file of CodeFormer's contract with these first axes: brighter by a tenth of the weight."""
    registry = load_registry()
    graph = Graph()
    picture = graph.input("input", [pictures, 3, 512, 512])
    weight = graph.input("weight", [weights], TensorProto.DOUBLE).cast(TensorProto.FLOAT)
    lifted = picture * 0.5 + weight.reshape(-1, 1, 1, 1) * 0.1
    graph.output("output", lifted, [pictures, 3, 512, 512])
    path.write_bytes(graph.model("codeformer").SerializeToString())
    spec = registry.spec("codeformer")
    return Counted(registry, open_session(spec=spec, path=path, options=SessionOptions()))


@pytest.mark.parametrize(
    ("pictures", "weights", "runs"),
    [
        ("N", 1, [3]),
        ("N", "N", [3]),
        # Nobody knows what such a file does with one weight and three pictures.
        ("N", "M", [1, 1, 1]),
        (1, 1, [1, 1, 1]),
    ],
)
def test_codeformer_takes_faces_together_where_its_weight_is_clear(
    tmp_path, pictures, weights, runs
):
    pool = codeformer(tmp_path / "codeformer.onnx", pictures=pictures, weights=weights)
    options = FaceEnhancerOptions(model="codeformer", weight=0.8)
    crops = list(np.random.default_rng(3).integers(0, 256, (3, 512, 512, 3)).astype(np.uint8))
    found = FaceEnhancer(pool, options).run(crops)
    assert pool.counts == runs
    signed = np.stack(crops).astype(np.float64) / 127.5 - 1
    expected = ((signed * 0.5 + 0.08) + 1) * 127.5
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("key", "size", "batched", "runs"),
    [
        ("real_esrgan_x2", (1300, 200), True, [4, 2]),
        ("real_esrgan_x2", (1300, 200), False, [1] * 6),
        ("span_kendata_x4", (700, 100), True, [6]),
        ("real_web_photo_x4", (1500, 50), True, [16, 10]),
        ("ultra_sharp_2_x4", (1200, 60), True, [1, 1]),
    ],
)
def test_tiles_of_a_row_are_enlarged_together(tmp_path, key, size, batched, runs):
    registry, path = load_registry(), tmp_path / "upscaler.onnx"
    path.write_bytes(build_stand_in(registry.spec(key), StandInOptions(batched=batched)))
    session = open_session(spec=registry.spec(key), path=path, options=SessionOptions())
    pool = Counted(registry, session)
    image = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    enhancer = FrameEnhancer(cast("Any", pool), FrameEnhancerOptions(model=key, blend_percent=100))
    result = enhancer.enhance(image)
    assert pool.counts == runs
    repeated = image.repeat(enhancer.scale, axis=0).repeat(enhancer.scale, axis=1)
    np.testing.assert_array_equal(result, repeated)


def test_what_covers_faces_and_their_parts_are_seen_together(stand_ins):
    random = np.random.default_rng(6)
    crops = list(random.integers(0, 256, (3, 256, 256, 3)).astype(np.uint8))
    occluder, seen = counted(stand_ins, "xseg_1")
    parser, parsed = counted(stand_ins, "bisenet_resnet_34")
    together = [
        *occlusion_masks([occluder], crops),
        *region_masks(parser, crops, regions=("skin", "nose")),
    ]
    assert (seen, parsed) == ([3], [3])
    apart = [mask for crop in crops for mask in occlusion_masks([occluder], [crop])]
    apart += [
        mask for crop in crops for mask in region_masks(parser, [crop], regions=("skin", "nose"))
    ]
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


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
