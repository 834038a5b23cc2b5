"""Every published swapper through whole frames, against float64 formulas of its contract."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.stand_ins.swappers import CONVERTER_TURNS
from inference.pipeline.aligner import TEMPLATES, align_face, crop_matrix
from inference.pipeline.analysis.recognisers import embed_face
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.frame import Assignment, Painter, swap_frame
from inference.pipeline.masks.combine import MaskMaker, MaskOptions
from inference.pipeline.registry.load import load_registry
from inference.pipeline.swappers.base import SourcePicture, SwapTarget
from inference.pipeline.swappers.catalogue import SwapperOptions, open_swapper
from inference.tests.pipeline import reference as ref

WIDTH, HEIGHT = 480, 400
SOURCE, SECOND, TARGET = ref.Scene(11), ref.Scene(12), ref.Scene(13)
SOURCE_FIVE = ref.five_at(220, 190, 210, -8, seed=1)
SECOND_FIVE = ref.five_at(250, 200, 150, 20, seed=2)
TARGET_FIVE = ref.five_at(235, 205, 170, 14, seed=3)
ARCFACE = "arcface_w600k_r50"

# (template, what the source becomes, whether it is a vector of length 1 on the way in)
GHOST = ("arcface_112_v1", "ghost")
SIMSWAP = ("arcface_112_v1", "simswap")
CONTRACTS = {
    "inswapper_128": ("arcface_128", "emap", 128),
    "inswapper_128_fp16": ("arcface_128", "emap", 128),
    "hyperswap_1a_256": ("arcface_128", "unit", 256),
    "hyperswap_1b_256": ("arcface_128", "unit", 256),
    "hyperswap_1c_256": ("arcface_128", "unit", 256),
    "ghost_1_256": (*GHOST, 256),
    "ghost_2_256": (*GHOST, 256),
    "ghost_3_256": (*GHOST, 256),
    "simswap_256": (*SIMSWAP, 256),
    "simswap_unofficial_512": (*SIMSWAP, 512),
    "hififace_unofficial_256": ("mtcnn_512", "hififace", 256),
    "alphaface_256": ("arcface_128", "raw", 256),
    "uniface_256": ("ffhq_512", "picture", 256),
    "blendswap_256": ("ffhq_512", "picture", 256),
}
LATENTS = [key for key, (_, kind, _) in CONTRACTS.items() if kind != "picture"]
BOOSTS = [
    ("inswapper_128", 256),
    ("inswapper_128", 384),
    ("hyperswap_1a_256", 512),
    ("simswap_256", 768),
    ("simswap_unofficial_512", 1024),
    ("blendswap_256", 768),
    ("uniface_256", 512),
]


def latent_of(kind, vector):
    """The vector of an identity in the space that the swapper was trained on."""
    if kind == "emap":
        return np.roll(vector, 1) / np.sqrt((vector**2).sum())
    if kind == "unit":
        return ref.unit(vector)
    if kind == "raw":
        return vector
    turned = np.roll(ref.unit(vector), CONVERTER_TURNS[f"crossface_{kind}"]) * 22
    return turned if kind == "ghost" else ref.unit(turned)


def tint_of(kind, vector):
    """RGB 0..1 of the stand-in: half white and half of the first three numbers."""
    gain = 8 / 22 if kind in ("ghost", "raw") else 8
    return 0.5 + 0.5 * np.clip(gain * vector[:3], -1, 1)


def weighed(kind, own, target, weight):
    share = 0.35 - 0.7 * weight
    mixed = own * (1 - share) + target * share
    return ref.unit(mixed) if kind in ("unit", "simswap", "hififace") else mixed


def expected_tint(key, weight=0.5):
    kind = CONTRACTS[key][1]
    if key == "uniface_256":
        return SOURCE.crop_rgb(SOURCE_FIVE, "ffhq_512", 256).mean(axis=(0, 1)) / 255
    if key == "blendswap_256":
        return SOURCE.crop_rgb(SOURCE_FIVE, "arcface_112_v2", 112).mean(axis=(0, 1)) / 255
    own = latent_of(kind, ref.embedding(SOURCE, SOURCE_FIVE))
    target = latent_of(kind, ref.embedding(TARGET, TARGET_FIVE))
    return tint_of(kind, own if weight == 0.5 else weighed(kind, own, target, weight))


def ellipse(size, boost):
    """The mask of the stand-in; each of the k * k parts has the same one."""
    at = (np.arange(size) + 0.5) / size - 0.5
    far = np.sqrt((at / 0.36) ** 2 + (at[:, np.newaxis] / 0.42) ** 2)
    mask = np.clip(1 - (far - 1) * 4, 0, 1)
    return mask.repeat(boost // size, axis=0).repeat(boost // size, axis=1)


def expected_frame(key, tint, boost, mask=None):
    """(H, W, 3) BGR float64, and the mask in the frame."""
    template, _, size = CONTRACTS[key]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    u, v = ref.move(ref.similarity(TARGET_FIVE, template, boost), x, y)
    before = TARGET.rgb(x, y)
    after = 0.5 * before + 0.5 * tint * 255
    own = ref.box_mask(boost) if mask is None else mask
    if key.startswith("hyperswap"):
        own = ellipse(size, boost)
        after = before + (after - before) * ref.bilinear(own, u, v)[:, :, np.newaxis]
    cover = ref.bilinear(own, u, v)
    return (before + (after - before) * cover[:, :, np.newaxis])[:, :, ::-1], cover


def swap(pool, key, *, weight=0.5, boost=None, sources=((SOURCE, SOURCE_FIVE),)):
    swapper = open_swapper(pool, SwapperOptions(model=key, weight=weight, pixel_boost_px=boost))
    pictures = [
        SourcePicture(
            image_bgr=scene.image_bgr(WIDTH, HEIGHT), landmarks=ref.face_of(five).landmarks
        )
        for scene, five in sources
    ]
    image, face = TARGET.image_bgr(WIDTH, HEIGHT), ref.face_of(TARGET_FIVE)
    embedding = None
    if weight != 0.5:
        embedding = embed_face(pool.get(ARCFACE), image_bgr=image, landmarks=face.landmarks)
    assignment = Assignment(face=face, source=swapper.prepare(pictures), embedding=embedding)
    painter = Painter(swapper=swapper, masks=MaskMaker(pool, MaskOptions()))
    return image, swap_frame(image, painter=painter, assignments=[assignment])


def check(before, result, expected, cover):
    inside = cover > 0.02
    assert inside.sum() > 5_000
    # The swap is far from doing nothing, so the comparison means something.
    assert np.abs(expected - before)[cover > 0.9].mean() > 5
    assert np.abs(result - expected)[inside].mean() < 1
    assert np.abs(result - expected)[inside].max() < 4
    # The filters of the way back reach two pixels farther than the straight lines used here.
    outside = cv2.dilate((cover > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    np.testing.assert_array_equal(result[outside], before[outside])


def test_all_swappers_of_the_registry_are_checked():
    registry = load_registry()
    published = [spec for spec in registry.by_task("swapper") if spec.origin is None]
    assert {spec.key for spec in published} == set(CONTRACTS)
    for spec in published:
        assert (spec.template, spec.crop_size_px) == CONTRACTS[spec.key][::2]


@pytest.mark.parametrize("template", ref.TEMPLATES)
def test_alignment_is_least_squares_on_the_published_template(template):
    assert set(TEMPLATES) == set(ref.TEMPLATES)
    for size in (112, 512):
        ours = crop_matrix(TARGET_FIVE.astype(np.float32), template=template, size_px=size)
        np.testing.assert_allclose(ours, ref.similarity(TARGET_FIVE, template, size), atol=1e-8)


@pytest.mark.parametrize("key", CONTRACTS)
def test_a_frame_is_what_the_formulas_say(stand_ins, key):
    before, result = swap(stand_ins, key)
    check(before, result, *expected_frame(key, expected_tint(key), CONTRACTS[key][2]))


@pytest.mark.parametrize("weight", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("key", LATENTS)
def test_a_weight_mixes_identities_in_the_space_of_the_model(stand_ins, key, weight):
    tint = expected_tint(key, weight)
    assert np.abs(tint - expected_tint(key)).max() > 0.01
    before, result = swap(stand_ins, key, weight=weight)
    check(before, result, *expected_frame(key, tint, CONTRACTS[key][2]))


@pytest.mark.parametrize(("key", "boost"), BOOSTS)
def test_pixel_boost_changes_the_size_and_not_the_result(stand_ins, key, boost):
    before, result = swap(stand_ins, key, boost=boost)
    check(before, result, *expected_frame(key, expected_tint(key), boost))


@pytest.mark.parametrize("key", ["hyperswap_1a_256", "alphaface_256", "inswapper_128"])
def test_several_pictures_of_a_person_are_averaged(stand_ins, key):
    both = ((SOURCE, SOURCE_FIVE), (SECOND, SECOND_FIVE))
    before, result = swap(stand_ins, key, sources=both)
    raw = [ref.embedding(scene, five) for scene, five in both]
    kind = CONTRACTS[key][1]
    mean = sum(raw) / 2
    if kind == "unit":
        mean = sum(ref.unit(vector) for vector in raw) / 2
    tint = tint_of(kind, latent_of(kind, mean))
    assert np.abs(tint - expected_tint(key)).max() > 0.01
    check(before, result, *expected_frame(key, tint, CONTRACTS[key][2]))


@pytest.mark.parametrize("key", CONTRACTS)
def test_a_crop_is_exact_to_a_thousandth(stand_ins, key):
    """Noise, because every pixel then says which channel and which place it came from."""
    template, kind, size = CONTRACTS[key]
    boost = 2 * size
    swapper = open_swapper(stand_ins, SwapperOptions(model=key, pixel_boost_px=boost))
    noise = np.random.default_rng(4).integers(0, 256, (700, 700, 3)).astype(np.uint8)
    face = ref.face_of(TARGET_FIVE + 100)
    target = SwapTarget(
        align_face(noise, landmarks=face.landmarks, template=template, size_px=boost)
    )
    picture = SourcePicture(
        image_bgr=SOURCE.image_bgr(WIDTH, HEIGHT), landmarks=ref.face_of(SOURCE_FIVE).landmarks
    )
    (crop,) = swapper.swap([target], swapper.prepare([picture]))
    rgb = target.aligned.crop_bgr[:, :, ::-1].astype(np.float64)
    # The tint is taken from the result: how it follows from the source is tested on whole frames.
    expected = 0.5 * rgb + 127.5 * expected_tint(key)
    if kind == "unit":
        mask = ellipse(size, boost)
        assert crop.mask is not None
        np.testing.assert_allclose(crop.mask, mask, atol=1e-5)
        expected = rgb + (expected - rgb) * mask[:, :, np.newaxis]
    rest = crop.crop_bgr[:, :, ::-1] - expected
    # What is left is one small tint for all pixels: rounding in the source's crop.
    weight = np.ones((boost, boost)) if kind != "unit" else ellipse(size, boost)
    tint = (rest * weight[:, :, np.newaxis]).sum(axis=(0, 1)) / (weight**2).sum()
    assert np.abs(tint).max() < 0.7
    assert np.abs(rest - tint * weight[:, :, np.newaxis]).max() < 1e-3


@pytest.mark.parametrize(("key", "size"), [("blendswap_256", 384), ("simswap_unofficial_512", 768)])
def test_sizes_that_are_no_multiple_are_refused_with_those_that_are(stand_ins, key, size):
    spec = load_registry().spec(key)
    offered = spec.params["boost_sizes_px"]
    assert all(value % spec.crop_size_px == 0 for value in offered)
    with pytest.raises(InvalidOptionsError) as caught:
        open_swapper(stand_ins, SwapperOptions(model=key, pixel_boost_px=size))
    assert f"offers {', '.join(map(str, offered))}" in str(caught.value)
    assert caught.value.param == "swapper.pixel_boost_px"
