"""Files that compute in half precision, and pixel boost as such: what is split is joined again."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from inference.pipeline.acquire.importing import Trust, import_file
from inference.pipeline.aligner import align_face
from inference.pipeline.builtin.graph import Graph
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.registry.spec import Registry
from inference.pipeline.sessions.loading import SessionOptions
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers import pixel_boost
from inference.pipeline.swappers.base import SourcePicture, SwapTarget
from inference.pipeline.swappers.catalogue import SwapperOptions, open_swapper
from inference.pipeline.swappers.latent import LatentSwapper
from inference.tests.pipeline import reference as ref

KEY = "inswapper_128_fp16"


def half_precision_file(is_batched):
    """float32 outside, float16 inside, with a float16 matrix behind the graph."""
    graph, batch = Graph(), "N" if is_batched else 1
    target = graph.input("target", [batch, 3, 128, 128])
    source = graph.input("source", [batch, 512])
    half = graph.constant(np.asarray(0.5, np.float16))
    gain = graph.constant(np.asarray(4, np.float16))
    small = target.cast(TensorProto.FLOAT16)
    tint = source.part(0, 3, axis=1).cast(TensorProto.FLOAT16)
    tint = graph.apply("Reshape", tint * gain, graph.ints(0, 3, 1, 1))
    result = (small * half + tint * half).cast(TensorProto.FLOAT)
    graph.output("output", result, [batch, 3, 128, 128])
    # Twice the vector, turned by three places.
    graph.constant(np.roll(2 * np.eye(512), 3, axis=1).astype(np.float16))
    return graph.model("half").SerializeToString()


@pytest.fixture(params=[True, False], ids=["batched", "one by one"])
def half_pool(request, tmp_path, stand_ins):
    models = dict(load_registry().models)
    recogniser = "arcface_w600k_r50"
    data = half_precision_file(request.param)
    models[recogniser] = stand_ins.registry.spec(recogniser)
    models[KEY] = dataclasses.replace(
        models[KEY],
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        commercial_ok=True,
    )
    own = tmp_path / "half.file"
    own.write_bytes(data)
    folder = tmp_path / "models"
    folder.mkdir()
    import_file(
        spec=models[KEY], path=own, model_dir=folder, trust=Trust(), on_bytes=lambda count: None
    )
    there = stand_ins._model_dir / models[recogniser].file
    (folder / there.name).write_bytes(there.read_bytes())
    return SessionPool(
        registry=Registry(models=models),
        model_dir=folder,
        policy=LicencePolicy(),
        options=SessionOptions(),
    )


@pytest.mark.parametrize("boost", [128, 384])
def test_a_half_precision_file_is_right_to_its_own_precision(half_pool, boost):
    scene, five = ref.Scene(3), ref.five_at(210, 190, 190, 5, 2)
    image, face = scene.image_bgr(420, 380), ref.face_of(five)
    swapper = open_swapper(half_pool, SwapperOptions(model=KEY, pixel_boost_px=boost))
    source = swapper.prepare([SourcePicture(image_bgr=image, landmarks=face.landmarks)])
    crop = align_face(image, landmarks=face.landmarks, template="arcface_128", size_px=boost)
    (swapped,) = swapper.swap([SwapTarget(crop)], source)
    vector = 2 * np.roll(ref.unit(ref.embedding(scene, five)), 3)
    rgb = crop.crop_bgr[:, :, ::-1].astype(np.float64) / 255
    expected = np.clip(0.5 * rgb + 2 * vector[:3], 0, 1) * 255
    assert np.abs(2 * vector[:3]).max() > 0.05
    assert np.abs(swapped.crop_bgr[:, :, ::-1] - expected).mean() < 0.5
    assert np.abs(swapped.crop_bgr[:, :, ::-1] - expected).max() < 1


@settings(max_examples=50)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 99))
def test_split_and_join_lose_nothing(factor, side, seed):
    shape = (factor * side, factor * side, 3)
    crop = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    parts = pixel_boost.split(crop, factor=factor)
    assert len(parts) == factor * factor
    for index, part in enumerate(parts):
        # Part (i, j) begins at row i and column j and takes every k-th from there.
        np.testing.assert_array_equal(part[0, 0], crop[index // factor, index % factor])
        assert part.shape == (side, side, 3)
    np.testing.assert_array_equal(pixel_boost.join(np.stack(parts), factor=factor), crop)


@pytest.mark.parametrize("boost", [128, 256, 512])
def test_a_boost_of_k_is_k_times_k_runs(half_pool, boost):
    swapper = LatentSwapper(half_pool, KEY, pixel_boost_px=boost)
    image, face = ref.Scene(3).image_bgr(420, 380), ref.face_of(ref.five_at(210, 190, 190, 5, 2))
    source = swapper.prepare([SourcePicture(image_bgr=image, landmarks=face.landmarks)])
    crop = align_face(image, landmarks=face.landmarks, template="arcface_128", size_px=boost)
    items: list[int] = []
    model = swapper._model
    counted = dataclasses.replace(model, runner=_Counter(model.runner, items))
    swapper._model = counted
    (swapped,) = swapper.swap([SwapTarget(crop)], source)
    assert swapped.crop_bgr.shape == (boost, boost, 3)
    assert sum(items) == (boost // 128) ** 2
    assert len(items) == (1 if model.takes_batches() else (boost // 128) ** 2)


class _Counter:
    """Notes how many items each run takes, and runs them."""

    def __init__(self, runner, items):
        self._runner, self._items = runner, items

    def run(self, names, feed, *, shrink):
        self._items.append(len(feed["target"]))
        return self._runner.run(names, feed, shrink=shrink)
