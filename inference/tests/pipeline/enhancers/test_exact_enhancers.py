"""Face and frame enhancers against float64 formulas of their contracts."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

from inference.pipeline.enhancers.face import FaceEnhancer, FaceEnhancerOptions
from inference.pipeline.enhancers.frame import FrameEnhancer, FrameEnhancerOptions
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.frame import Assignment, Painter, swap_frame
from inference.pipeline.masks.combine import MaskMaker, MaskOptions
from inference.pipeline.registry.load import load_registry
from inference.pipeline.swappers.base import SourcePicture
from inference.pipeline.swappers.catalogue import SwapperOptions, open_swapper
from inference.tests.pipeline import reference as ref

WIDTH, HEIGHT = 420, 380
SCENE = ref.Scene(21)
FIVE = ref.five_at(205, 190, 190, -9, seed=8)
FACES = {
    "gfpgan_1.2": ("ffhq_512", 512),
    "gfpgan_1.3": ("ffhq_512", 512),
    "gfpgan_1.4": ("ffhq_512", 512),
    "restoreformer_plus_plus": ("ffhq_512", 512),
    "codeformer": ("ffhq_512", 512),
    "gpen_bfr_256": ("arcface_128", 256),
    "gpen_bfr_512": ("ffhq_512", 512),
    "gpen_bfr_1024": ("ffhq_512", 1024),
    "gpen_bfr_2048": ("ffhq_512", 2048),
}
# Each with its tile, padding, overlap and scale.
FRAMES = {
    "span_kendata_x4": (128, 8, 4, 4),
    "tghq_face_x8": (128, 8, 4, 8),
    "real_esrgan_x2": (256, 16, 8, 2),
    "real_esrgan_x4_fp16": (256, 16, 8, 4),
    "real_web_photo_x4": (64, 4, 2, 4),
}


def enhanced(rgb, weight=0.5):
    """The stand-in's straight line on -1..1, back in 0..255."""
    result = 0.8 * (rgb / 127.5 - 1) + 0.1 + 0.2 * (weight - 0.5)
    return np.clip((result + 1) / 2, 0, 1) * 255


def expected_frame(template, size, *, blend=0.8, weight=0.5, mask=None):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    u, v = ref.move(ref.similarity(FIVE, template, size), x, y)
    cover = ref.bilinear(ref.box_mask(size) if mask is None else mask, u, v)
    before = SCENE.rgb(x, y)
    after = before + (enhanced(before, weight) - before) * (blend * cover)[:, :, np.newaxis]
    return after[:, :, ::-1], cover


def check(before, result, expected, cover):
    inside = cover > 0.02
    assert np.abs(expected - before)[cover > 0.9].mean() > 3
    assert np.abs(result - expected)[inside].mean() < 0.6
    assert np.abs(result - expected)[inside].max() < 3
    outside = cv2.dilate((cover > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    np.testing.assert_array_equal(result[outside], before[outside])


def test_all_face_enhancers_of_the_registry_are_checked():
    specs = load_registry().by_task("face_enhancer")
    assert {spec.key: (spec.template, spec.crop_size_px) for spec in specs} == FACES


@pytest.mark.parametrize("key", FACES)
def test_a_face_is_enhanced_in_its_own_place(stand_ins, key):
    image = SCENE.image_bgr(WIDTH, HEIGHT)
    result = image.copy()
    FaceEnhancer(stand_ins, FaceEnhancerOptions(model=key)).enhance(result, ref.face_of(FIVE))
    check(image, result, *expected_frame(*FACES[key]))


@pytest.mark.parametrize("blend", [0, 35, 100])
def test_the_blend_counts_in_the_face_alone(stand_ins, blend):
    image = SCENE.image_bgr(WIDTH, HEIGHT)
    result = image.copy()
    options = FaceEnhancerOptions(blend_percent=blend)
    FaceEnhancer(stand_ins, options).enhance(result, ref.face_of(FIVE))
    if blend == 0:
        np.testing.assert_array_equal(result, image)
    else:
        expected, cover = expected_frame("ffhq_512", 512, blend=blend / 100)
        assert np.abs(result - expected)[cover > 0.02].mean() < 0.6


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_codeformer_takes_its_weight(stand_ins, weight):
    image = SCENE.image_bgr(WIDTH, HEIGHT)
    result = image.copy()
    options = FaceEnhancerOptions(model="codeformer", weight=weight)
    FaceEnhancer(stand_ins, options).enhance(result, ref.face_of(FIVE))
    expected, cover = expected_frame("ffhq_512", 512, weight=weight)
    assert np.abs(result - expected)[cover > 0.02].mean() < 0.6


def test_a_run_is_exact_and_clipped(stand_ins):
    noise = np.random.default_rng(1).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    options = FaceEnhancerOptions(model="codeformer", weight=1.0)
    (ours,) = FaceEnhancer(stand_ins, options).run([noise])
    np.testing.assert_allclose(ours, enhanced(noise.astype(np.float64), 1.0), atol=1e-3)


def test_what_covers_the_face_is_looked_for_in_the_frame_before_the_swap(stand_ins):
    image = SCENE.image_bgr(WIDTH, HEIGHT)
    seen = image.copy()
    seen[:, :205] = (0, 255, 0)
    result = image.copy()
    enhancer = FaceEnhancer(stand_ins, FaceEnhancerOptions(), occluders=("xseg_1",))
    enhancer.enhance(result, ref.face_of(FIVE), seen_bgr=seen)
    np.testing.assert_array_equal(result[:, :195], image[:, :195])
    expected, cover = expected_frame("ffhq_512", 512)
    right = cover > 0.9
    right[:, :240] = False
    assert np.abs(result - expected)[right].mean() < 0.6


def test_each_face_is_enhanced_after_its_swap(stand_ins):
    image, face = SCENE.image_bgr(WIDTH, HEIGHT), ref.face_of(FIVE)
    swapper = open_swapper(stand_ins, SwapperOptions(model="uniface_256"))
    source = swapper.prepare([SourcePicture(image_bgr=image, landmarks=face.landmarks)])
    masks = MaskMaker(stand_ins, MaskOptions())
    enhancer = FaceEnhancer(stand_ins, FaceEnhancerOptions())
    plain, both = (
        swap_frame(
            image,
            painter=Painter(swapper=swapper, masks=masks, enhancer=chosen),
            assignments=[Assignment(face=face, source=source)],
        )
        for chosen in (None, enhancer)
    )
    expected = plain.copy()
    enhancer.enhance(expected, face)
    np.testing.assert_array_equal(both, expected)
    assert (both != plain).any()


@pytest.mark.parametrize("size", [(300, 210), (128, 128), (60, 40), (249, 121)])
@pytest.mark.parametrize("key", FRAMES)
def test_a_frame_is_enlarged_without_seams(stand_ins, key, size):
    """The stand-in repeats pixels, so any tile that is off by one, or any seam, would show."""
    tile, padding, overlap, scale = FRAMES[key]
    params = load_registry().spec(key).params
    assert (params["padding_px"], params["overlap_px"], params["scale"]) == (
        padding,
        overlap,
        scale,
    )
    assert load_registry().spec(key).crop_size_px == tile
    width, height = size
    image = np.random.default_rng(2).integers(0, 256, (height, width, 3)).astype(np.uint8)
    repeated = image.repeat(scale, axis=0).repeat(scale, axis=1)
    whole = FrameEnhancer(stand_ins, FrameEnhancerOptions(model=key, blend_percent=100))
    np.testing.assert_array_equal(whole.enhance(image), repeated)
    part = FrameEnhancer(stand_ins, FrameEnhancerOptions(model=key, blend_percent=80))
    plain = cv2.resize(image.astype(np.float64), (width * scale, height * scale))
    expected = plain + 0.8 * (repeated - plain)
    assert np.abs(part.enhance(image) - expected).max() < 1
    none = FrameEnhancer(stand_ins, FrameEnhancerOptions(model=key, blend_percent=0))
    assert np.abs(none.enhance(image) - plain).max() < 1.01


def test_memory_grows_with_the_result_alone(stand_ins):
    image = np.random.default_rng(2).integers(0, 256, (12_000, 200, 3)).astype(np.uint8)
    enhancer = FrameEnhancer(stand_ins, FrameEnhancerOptions(model="real_esrgan_x2"))
    tracemalloc.start()
    result = enhancer.enhance(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # In floats the result alone would be four times as large.
    assert peak < 2 * result.nbytes


@pytest.mark.parametrize(
    ("param", "make"),
    [
        ("face_enhancer.blend_percent", lambda: FaceEnhancerOptions(blend_percent=101)),
        ("face_enhancer.weight", lambda: FaceEnhancerOptions(weight=-0.1)),
        ("frame_enhancer.blend_percent", lambda: FrameEnhancerOptions(blend_percent=-1)),
    ],
)
def test_values_out_of_range_are_refused_by_name(param, make):
    with pytest.raises(InvalidOptionsError) as caught:
        make()
    assert caught.value.param == param


def test_unknown_models_and_weights_that_nobody_takes_are_refused(stand_ins):
    for make, param in (
        (lambda: FaceEnhancer(stand_ins, FaceEnhancerOptions(model="xseg_1")), "model"),
        (lambda: FaceEnhancer(stand_ins, FaceEnhancerOptions(weight=0.7)), "weight"),
    ):
        with pytest.raises(InvalidOptionsError) as caught:
            make()
        assert caught.value.param == f"face_enhancer.{param}"
    with pytest.raises(InvalidOptionsError, match="span_kendata_x4"):
        FrameEnhancer(stand_ins, FrameEnhancerOptions(model="gfpgan_1.4"))
