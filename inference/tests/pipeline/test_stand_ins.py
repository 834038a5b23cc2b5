"""Contracts: every description opens a file of its signature and refuses any other one.

What the stand-ins compute is checked against numpy, because other tests rely on it.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.stand_ins import analysis, pictures, pixels, swappers
from benchmarks.stand_ins.build import BUILDERS, build_stand_in
from benchmarks.stand_ins.heavy import COSTS
from benchmarks.stand_ins.pixels import StandInOptions
from inference.pipeline.errors import ModelMismatchError
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.spec import ModelSpec
from inference.pipeline.sessions.loading import LoadedModel, SessionOptions, open_session

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = load_registry()
PUBLISHED = [key for key, spec in REGISTRY.models.items() if spec.origin is None]
LATENTS = [spec.key for spec in REGISTRY.by_contract("latent_swapper")]


@pytest.fixture(scope="module")
def open_stand_in(tmp_path_factory):
    """Opens the stand-in of a model, each built once."""
    folder = tmp_path_factory.mktemp("stand_ins")

    def load(key: str, spec: ModelSpec | None = None) -> LoadedModel:
        path = folder / f"{key}.onnx"
        if not path.exists():
            path.write_bytes(build_stand_in(REGISTRY.spec(key)))
        return open_session(spec=spec or REGISTRY.spec(key), path=path, options=SessionOptions())

    return load


def to_input(image: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> the model's input, from the description alone."""
    ordered = image if spec.colour == "RGB" else image[:, :, ::-1]
    values = (ordered / spec.scale - np.asarray(spec.mean)) / np.asarray(spec.std)
    return np.asarray(values.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)


def noise(side: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3))
    return np.asarray(values, dtype=np.uint8)


# --- signatures


def test_every_contract_has_a_stand_in_and_a_cost():
    contracts = {REGISTRY.spec(key).contract for key in PUBLISHED}
    assert contracts == set(BUILDERS)
    # Vectors and points cost next to nothing in the real models too.
    assert contracts - set(COSTS) == {"crossface", "fan_68_5"}


@pytest.mark.parametrize("key", PUBLISHED)
def test_a_description_opens_its_stand_in(open_stand_in, key):
    model = open_stand_in(key)
    assert len(model.output_names) == len(REGISTRY.spec(key).outputs)


@pytest.mark.parametrize("key", PUBLISHED)
def test_other_inputs_than_described_are_refused_with_the_reason(open_stand_in, key):
    spec = REGISTRY.spec(key)
    first = spec.inputs[0]
    assert first.shape is not None
    names = sorted(tensor.name for tensor in spec.inputs)
    others = (
        sorted([*names[1:], "other"]) if first.name == names[0] else sorted([names[0], "other"])
    )
    this = f"input '{first.name}' of '{key}' is tensor(float)"
    size, rank = (*first.shape[:-1], 7), (*first.shape, 1)
    for change, reason in (
        ({"name": "other"}, f"'{key}' has the inputs {names}, described are {others}"),
        ({"dtype": "tensor(float16)"}, f"described is tensor(float16) {list(first.shape)}"),
        ({"shape": size}, f"described is tensor(float) {list(size)}"),
        ({"shape": rank}, f"described is tensor(float) {list(rank)}"),
    ):
        inputs = (dataclasses.replace(first, **change), *spec.inputs[1:])
        with pytest.raises(ModelMismatchError, match=re.escape(reason)) as caught:
            open_stand_in(key, dataclasses.replace(spec, inputs=inputs))
        assert this in str(caught.value) or "name" in change


@pytest.mark.parametrize("key", PUBLISHED)
def test_fewer_or_other_outputs_than_described_are_refused(open_stand_in, key):
    spec = REGISTRY.spec(key)
    more = dataclasses.replace(spec, outputs=(*spec.outputs, *spec.outputs))
    with pytest.raises(ModelMismatchError, match=f"outputs, described are {len(more.outputs)}"):
        open_stand_in(key, more)
    last = dataclasses.replace(spec.outputs[-1], dtype="tensor(string)")
    with pytest.raises(ModelMismatchError, match=f"output '{last.name}' of '{key}' is tensor"):
        open_stand_in(key, dataclasses.replace(spec, outputs=(*spec.outputs[:-1], last)))


def test_fixed_batches_are_seen(tmp_path):
    spec = REGISTRY.spec("inswapper_128")
    for batched in (True, False):
        path = tmp_path / f"{batched}.onnx"
        path.write_bytes(build_stand_in(spec, StandInOptions(batched=batched)))
        model = open_session(spec=spec, path=path, options=SessionOptions())
        assert model.takes_batches() is batched


def test_the_bytes_are_the_same_in_another_process():
    script = (
        "import hashlib, sys\n"
        "from benchmarks.stand_ins.build import build_stand_in\n"
        "from benchmarks.stand_ins.pixels import StandInOptions\n"
        "from inference.pipeline.registry.load import load_registry\n"
        "registry, digest = load_registry(), hashlib.sha256()\n"
        "for key in sys.argv[1:]:\n"
        "    digest.update(build_stand_in(registry.spec(key)))\n"
        "digest.update(build_stand_in(registry.spec('scrfd_2.5g'), StandInOptions(heavy=True)))\n"
        "print(digest.hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, *PUBLISHED],
            cwd=ROOT,
            env={"OPENBLAS_CORETYPE": core, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for core, seed in (("Nehalem", "1"), ("", "2"))
    }
    assert len(digests) == 1


def test_a_heavy_variant_computes_the_same_and_carries_the_weights(open_stand_in, tmp_path):
    spec = REGISTRY.spec("scrfd_2.5g")
    data = build_stand_in(spec, StandInOptions(heavy=True))
    assert len(data) > 3_000_000
    path = tmp_path / "heavy.onnx"
    path.write_bytes(data)
    heavy = open_session(spec=spec, path=path, options=SessionOptions())
    feed = {"input": to_input(noise(320), spec)}
    for ours, theirs in zip(heavy.run(feed), open_stand_in("scrfd_2.5g").run(feed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# --- arithmetic


@pytest.fixture
def marked() -> np.ndarray:
    """(640, 640, 3) RGB grey with one face marker per stride: column, row and strength differ."""
    image = np.full((640, 640, 3), 90, dtype=np.uint8)
    for stride, (column, row), strength in (
        (8, (10, 20), 255),
        (16, (30, 5), 230),
        (32, (12, 15), 204),
    ):
        colour = [0, 0, 0]
        colour["RGB".index(pixels.STRIDE_COLOURS[stride])] = strength
        x, y = column * stride, row * stride
        image[y : y + stride, x : x + stride] = colour
    return image


PLANTED = {8: (84.0, 164.0, 1.0), 16: (488.0, 88.0, 230 / 255), 32: (400.0, 496.0, 0.8)}


def test_yoloface_finds_the_planted_faces(open_stand_in, marked):
    model = open_stand_in("yoloface_8n")
    (rows,) = model.run({"input": to_input(marked, model.spec)})
    found = rows[0].T[rows[0, 4] > 0.5]
    for row, (stride, (x, y, score)) in zip(found, PLANTED.items(), strict=True):
        np.testing.assert_allclose(row[:4], [x, y, 4 * stride, 4 * stride], atol=1e-4)
        assert row[4] == pytest.approx(score, abs=1e-5)
        right, down = pixels.POINT_STRIDES[3]
        np.testing.assert_allclose(row[14:17], [x + right * stride, y + down * stride, 1])


def test_scrfd_finds_the_planted_faces(open_stand_in, marked):
    model = open_stand_in("scrfd_2.5g")
    outputs = model.run({"input": to_input(marked, model.spec)})
    for index, (stride, (x, y, score)) in enumerate(PLANTED.items()):
        scores, boxes, points = (outputs[index + offset] for offset in (0, 3, 6))
        first, second = np.flatnonzero(scores[:, 0] > 0.5)
        assert second == first + 1
        assert scores[[first, second], 0] == pytest.approx([score, 0.9 * score], abs=1e-5)
        cell_row, cell_column = divmod(first // 2, 640 // stride)
        anchor = np.asarray([cell_column, cell_row]) * stride
        low, high = anchor - boxes[first, :2] * stride, anchor + boxes[first, 2:] * stride
        np.testing.assert_allclose((low + high) / 2, [x, y])
        np.testing.assert_allclose(high - low, 4 * stride)
        nose = anchor + points[first, 4:6] * stride
        np.testing.assert_allclose(nose, [x, y + 0.1 * stride], atol=1e-4)


def test_yunet_finds_the_planted_faces(open_stand_in, marked):
    model = open_stand_in("yunet_2023_mar")
    outputs = model.run({"input": to_input(marked, model.spec)})
    for index, (stride, (x, y, score)) in enumerate(PLANTED.items()):
        classes, objects, boxes = (outputs[index + offset][0] for offset in (0, 3, 6))
        (cell,) = np.flatnonzero(classes[:, 0] > 0.5)
        assert np.sqrt(classes[cell, 0] * objects[cell, 0]) == pytest.approx(score, abs=1e-5)
        row, column = divmod(cell, 640 // stride)
        centre = (np.asarray([column, row]) + boxes[cell, :2]) * stride
        np.testing.assert_allclose(centre, [x, y])
        np.testing.assert_allclose(np.exp(boxes[cell, 2:]) * stride, 4 * stride, rtol=1e-5)


def test_landmarkers_give_the_pattern_and_a_score_by_brightness(open_stand_in):
    pattern = pixels.landmark_pattern()
    for level, score in ((255, 1.0), (32, 32 / 255 / 0.25)):
        image = np.full((256, 256, 3), level, dtype=np.uint8)
        fan = open_stand_in("2dfan4")
        points, maps = fan.run({"input": to_input(image, fan.spec)})
        np.testing.assert_allclose(points[0, :, :2], pattern * 64, atol=1e-4)
        assert maps[0].max(axis=(1, 2)).mean() / 0.9 == pytest.approx(score, abs=1e-4)
        peaks = [np.unravel_index(heat.argmax(), (64, 64))[::-1] for heat in maps[0]]
        assert np.abs(np.asarray(peaks) - pattern * 64).max() <= 0.5 + 1e-6
        peppa = open_stand_in("peppa_wutz")
        (rows,) = peppa.run({"input": to_input(image, peppa.spec)})
        np.testing.assert_allclose(rows[0, :, :2], pattern * 64, atol=1e-4)
        assert rows[0, :, 2].mean() / 0.95 == pytest.approx(score, abs=1e-4)


def test_68_points_follow_the_five(open_stand_in):
    model = open_stand_in("fan_68_5")
    pattern = pixels.ffhq_pattern()
    moved = pattern + np.asarray([0.02, -0.03])
    five = analysis.five_of(moved)
    (points,) = model.run({"input": five[np.newaxis].astype(np.float32)})
    np.testing.assert_allclose(points[0], moved, atol=1e-5)


def test_the_embedding_is_pooled_pixels_without_their_mean(open_stand_in):
    model = open_stand_in("arcface_w600k_r50")
    feed = to_input(noise(112), model.spec)
    (vector,) = model.run({"input": feed})
    pooled = feed.reshape(1, 3, 14, 8, 14, 8).mean(axis=(3, 5)).reshape(-1)[38:550]
    expected = (pooled - pooled.mean()) * analysis.EMBEDDING_GAIN
    np.testing.assert_allclose(vector[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("colour", "classes"), [((255, 0, 0), (6, 0, 0)), ((0, 255, 128), (0, 1, 4))]
)
def test_classes_follow_the_mean_colour(open_stand_in, colour, classes):
    model = open_stand_in("fairface")
    image = np.full((224, 224, 3), colour, dtype=np.uint8)
    race, gender, age = model.run({"input": to_input(image, model.spec)})
    assert (race[0], gender[0], age[0]) == classes


@pytest.fixture(scope="module")
def latent() -> np.ndarray:
    vector = np.random.default_rng(5).standard_normal((1, 512))
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def tint_of(vector: np.ndarray, gain: float) -> np.ndarray:
    return 0.5 + 0.5 * np.clip(vector[0, :3] * gain, -1, 1)


def as_unit(output: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """A swapper's output -> (S, S, 3) RGB 0..1, from the description alone."""
    picture = output[0].transpose(1, 2, 0)
    is_symmetric = spec.params["output_range"] == "symmetric"
    return np.asarray(picture / 2 + 0.5 if is_symmetric else picture)


@pytest.mark.parametrize("key", ["inswapper_128", "inswapper_128_fp16", *LATENTS])
def test_a_latent_tints_the_target(open_stand_in, latent, key):
    model = open_stand_in(key)
    spec = model.spec
    image = noise(spec.crop_size_px)
    is_raw = spec.params["latent"] == "raw" or spec.params.get("is_latent_unit") is False
    vector = latent * np.float32(swappers.RAW_LENGTH if is_raw else 1)
    (output,) = model.run({"source": vector, "target": to_input(image, spec)})
    expected = 0.5 * image / 255 + 0.5 * tint_of(latent, swappers.UNIT_GAIN)
    np.testing.assert_allclose(as_unit(output, spec), expected, atol=1e-5)


def test_hyperswap_blends_by_its_mask(open_stand_in, latent):
    model = open_stand_in("hyperswap_1a_256")
    image = noise(256)
    output, mask = model.run({"source": latent, "target": to_input(image, model.spec)})
    assert mask[0, 0, 128, 128] == 1
    assert mask[0, 0, 0, 0] == 0
    tinted = 0.5 * image / 255 + 0.5 * tint_of(latent, swappers.UNIT_GAIN)
    weight = swappers.ellipse(256)[:, :, np.newaxis]
    expected = image / 255 * (1 - weight) + tinted * weight
    np.testing.assert_allclose(as_unit(output, model.spec), expected, atol=1e-5)


@pytest.mark.parametrize("key", ["uniface_256", "blendswap_256"])
def test_a_source_picture_tints_the_target(open_stand_in, key):
    model = open_stand_in(key)
    spec = model.spec
    source, image = noise(spec.params["source_size_px"], 1), noise(256, 2)
    planes = (source / 255).transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    (output,) = model.run({"source": planes, "target": to_input(image, spec)})
    expected = 0.5 * image / 255 + 0.5 * source.mean(axis=(0, 1)) / 255
    np.testing.assert_allclose(as_unit(output, spec), expected, atol=1e-5)


@pytest.mark.parametrize("key", swappers.CONVERTER_TURNS)
def test_a_converter_turns_the_vector_whatever_its_length(open_stand_in, latent, key):
    model = open_stand_in(key)
    expected = np.roll(latent, swappers.CONVERTER_TURNS[key], axis=1) * swappers.RAW_LENGTH
    for length in (1, 20):
        (output,) = model.run({"input": latent * np.float32(length)})
        np.testing.assert_allclose(output, expected, atol=1e-4)


@pytest.mark.parametrize("key", pictures.OCCLUDER_COLOURS)
def test_an_occluder_sees_its_colour_alone(open_stand_in, key):
    model = open_stand_in(key)
    image = np.full((256, 256, 3), 120, dtype=np.uint8)
    for column in range(3):
        image[:, column * 40 : column * 40 + 40] = np.eye(3, dtype=np.uint8)[column] * 255
    planes = to_input(image, model.spec).transpose(0, 2, 3, 1)
    (mask,) = model.run({"input": np.ascontiguousarray(planes)})
    seen = [letter for at, letter in enumerate("RGB") if mask[0, 0, at * 40, 0] == 0]
    assert seen == [pictures.OCCLUDER_COLOURS[key]]
    assert mask[0, 0, 200, 0] == 1


def test_the_parser_takes_the_nearest_colour(open_stand_in):
    model = open_stand_in("bisenet_resnet_34")
    palette = np.rint(pictures.parser_palette() * 255).astype(np.uint8)
    image = np.zeros((512, 512, 3), dtype=np.uint8)
    for number, colour in enumerate(palette):
        image[number * 20 : number * 20 + 20] = np.clip(colour.astype(int) + 20, 0, 255)
    (logits,) = model.run({"input": to_input(image, model.spec)})
    assert logits[0].argmax(axis=0)[10:380:20, 0].tolist() == list(range(19))


def test_enhancers_change_colours_by_a_straight_line(open_stand_in):
    image = noise(512)
    expected = None
    for key, weight in (("gfpgan_1.4", None), ("codeformer", 0.5), ("codeformer", 1.0)):
        model = open_stand_in(key)
        feed = {"input": to_input(image, model.spec)}
        if weight is not None:
            feed["weight"] = np.asarray([weight])
        (output,) = model.run(feed)
        lift = 0.1 if weight == 1.0 else 0.0
        expected = feed["input"] * 0.8 + 0.1 + lift
        np.testing.assert_allclose(output, expected, atol=1e-5)


@pytest.mark.parametrize("key", ["span_kendata_x4", "real_esrgan_x2", "tghq_face_x8"])
def test_an_upscaler_repeats_pixels(open_stand_in, key):
    model = open_stand_in(key)
    scale = model.spec.params["scale"]
    feed = to_input(noise(24)[:, :16], model.spec)
    (output,) = model.run({"input": feed})
    np.testing.assert_array_equal(output, feed.repeat(scale, axis=2).repeat(scale, axis=3))


@pytest.mark.parametrize(
    ("key", "limit"), [("nsfw_1", 0.2), ("nsfw_2", 0.0625), ("nsfw_3", 0.1641)]
)
def test_safety_votes_by_the_excess_of_red(open_stand_in, key, limit):
    model = open_stand_in(key)
    params = model.spec.params
    for red, is_flagged in ((limit - 0.01, False), (limit + 0.01, True)):
        side = model.spec.crop_size_px
        image = np.full((side, side, 3), (red * 255, 0, 0), dtype=np.float64)
        (output,) = model.run({"input": to_input(image, model.spec)})
        value = (
            output[0, params["class_rows_from"] :].max()
            if "class_rows_from" in params
            else (output[0] * params["weights"]).sum()
        )
        assert (value > params["limit"]) is np.bool_(is_flagged)
