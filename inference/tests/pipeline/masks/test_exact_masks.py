"""Masks against float64 formulas, alone and together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.stand_ins.pictures import OCCLUDER_COLOURS, parser_palette
from inference.pipeline.aligner import AlignedFace
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.masks.combine import MaskMaker, MaskOptions
from inference.pipeline.masks.networks import REGIONS, occlusion_masks, region_masks
from inference.pipeline.masks.shapes import AREAS, area_mask, box_mask, soft_edge
from inference.pipeline.swappers.base import SwappedCrop
from inference.tests.pipeline import reference as ref

# The scheme of 68 points, written out.
UPPER = [0, 1, 2, 14, 15, 16, *range(17, 27), 31, 32, 33, 34, 35]
LOWER = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 31, 32, 33, 34, 35]
CLASSES = {
    "skin": 1,
    "left_eyebrow": 2,
    "right_eyebrow": 3,
    "left_eye": 4,
    "right_eye": 5,
    "glasses": 6,
    "nose": 10,
    "mouth": 11,
    "upper_lip": 12,
    "lower_lip": 13,
}


@settings(max_examples=50)
@given(
    st.sampled_from([128, 256, 384]),
    st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.55, 1.0]),
    st.tuples(*[st.integers(0, 45)] * 4),
)
def test_the_box_follows_its_formula(size, blur, padding):
    ours = box_mask(size_px=size, blur_share=blur, padding_percent=padding)
    expected = ref.box_mask(size, blur, padding)
    # The tails of a Gaussian are cut off at four sigmas, which weigh less than 1e-4 together.
    np.testing.assert_allclose(ours, expected, atol=3e-4)


def test_published_borders_of_the_box():
    for size, border in ((256, 19), (512, 38), (1024, 76)):
        mask = box_mask(size_px=size, blur_share=0.3, padding_percent=(0, 0, 0, 0))
        assert mask[size // 2, border] == pytest.approx(0.5, abs=0.03)
        assert mask[size // 2, size // 2] == pytest.approx(1, abs=1e-5)


def test_a_box_that_is_padded_away_paints_nothing():
    mask = box_mask(size_px=128, blur_share=0.3, padding_percent=(60, 0, 60, 0))
    assert not mask.any()


@pytest.mark.parametrize("size", [128, 256, 512])
def test_a_soft_edge_moves_inwards_and_grows_with_the_crop(size):
    mask = np.zeros((size, size), np.float32)
    mask[size // 4 : -size // 4, size // 3 : -size // 8] = 1
    ours = soft_edge(mask)
    np.testing.assert_allclose(ours, ref.soft_edge(mask.astype(np.float64)), atol=5e-4)
    assert not ours[mask == 0].any()


def occluded(size, letter):
    """Skin with a bar of a pure colour, and bars of the other colours that count for nothing."""
    crop = np.full((size, size, 3), (120, 130, 150), np.uint8)
    for place, colour in enumerate("BGR"):
        bar = np.zeros(3, np.uint8)
        bar["BGR".index(colour)] = 250
        low = size * (2 * place + 1) // 8
        crop[:, low : low + size // 8] = bar
    return crop, "BGR".index(letter)


def visible_of(crop, place):
    """1, falling to 0 where the colour exceeds both others by 0.5 to 0.75, at 256 px."""
    small = ref.resized(crop.astype(np.float64), 256) / 255
    others = np.delete(small, place, axis=2).max(axis=2)
    excess = np.clip(small[:, :, place] - others, 0, 1) - 0.5
    return ref.resized(1 - np.clip(excess * 4, 0, 1), len(crop))


@pytest.mark.parametrize("key", OCCLUDER_COLOURS)
@pytest.mark.parametrize("size", [128, 256, 512])
def test_occluders_see_bgr_channels_last(stand_ins, key, size):
    crop, place = occluded(size, OCCLUDER_COLOURS[key])
    (ours,) = occlusion_masks([stand_ins.get(key)], [crop])
    expected = ref.soft_edge(visible_of(crop, place))
    assert expected.min() == 0
    assert np.abs(ours - expected).mean() < 1e-3
    np.testing.assert_allclose(ours, expected, atol=0.02)


def test_of_several_occluders_the_lowest_counts(stand_ins):
    crop, _ = occluded(256, "G")
    (ours,) = occlusion_masks([stand_ins.get(key) for key in OCCLUDER_COLOURS], [crop])
    seen = np.minimum.reduce([visible_of(crop, place) for place in range(3)])
    np.testing.assert_allclose(ours, ref.soft_edge(seen), atol=1e-3)


def parsed(size):
    """Stripes in the colours of all 19 classes, BGR."""
    palette = np.rint(parser_palette() * 255).astype(np.uint8)
    rows = np.arange(size) * 19 // size
    return np.repeat(palette[rows][:, np.newaxis, ::-1], size, axis=1), rows


@pytest.mark.parametrize("regions", [("skin",), ("nose", "mouth"), ("left_eye", "lower_lip")])
@pytest.mark.parametrize("key", ["bisenet_resnet_18", "bisenet_resnet_34"])
def test_regions_are_the_published_classes(stand_ins, key, regions):
    crop, rows = parsed(512)
    (ours,) = region_masks(stand_ins.get(key), [crop], regions=regions)
    chosen = np.isin(rows, [CLASSES[region] for region in regions]).astype(np.float64)
    expected = ref.soft_edge(np.repeat(chosen[:, np.newaxis], 512, axis=1))
    assert expected.max() > 0.5
    np.testing.assert_allclose(ours, expected, atol=1e-3)


@pytest.mark.parametrize("size", [128, 256, 1024])
def test_regions_fit_crops_of_other_sizes(stand_ins, size):
    crop = np.full((size, size, 3), 0, np.uint8)
    palette = np.rint(parser_palette() * 255).astype(np.uint8)
    crop[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = palette[1][::-1]
    (ours,) = region_masks(stand_ins.get("bisenet_resnet_34"), [crop], regions=("skin",))
    block = (crop.any(axis=2)).astype(np.float64)
    # Between two classes an enlarged crop shows a third, so the border may move by a pixel.
    assert np.abs(ours - ref.soft_edge(block)).mean() < 0.01
    assert ours[size // 2, size // 2] == 1


def hull_mask(points, size):
    """Pixels on the inner side of every edge of the convex hull of whole points."""
    points = np.rint(points).astype(int)
    y, x = np.mgrid[0:size, 0:size]
    inside = np.ones((size, size), bool)
    for a in points:
        for b in points:
            side = (b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0])
            if (a != b).any() and (side >= 0).all():
                here = (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])
                inside &= here >= 0
    return inside.astype(np.float64)


def outline(size, seed=0):
    random = np.random.default_rng(seed)
    return random.uniform(0.12 * size, 0.88 * size, (68, 2)).astype(np.float32)


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize(
    ("areas", "points"),
    [
        (("upper_face",), UPPER),
        (("lower_face",), LOWER),
        (("mouth",), list(range(48, 68))),
        (("upper_face", "mouth"), [*UPPER, *range(48, 68)]),
    ],
)
def test_an_area_is_one_hull_of_its_points(areas, points, size):
    found = outline(size)
    ours = area_mask(found, size_px=size, areas=areas)
    expected = ref.soft_edge(hull_mask(found[points], size))
    # The rim of a filled polygon is drawn as a line, half a pixel wider than the hull.
    assert np.abs(ours - expected).mean() < 1.5 / size
    assert expected.max() == 1


def test_the_offered_names_are_complete():
    assert REGIONS == CLASSES
    assert sorted(AREAS) == ["lower_face", "mouth", "upper_face"]


def test_each_pixel_takes_the_lowest_of_all_masks(stand_ins):
    size = 256
    crop, place = occluded(size, "G")
    swapped, rows = parsed(size)
    own = np.random.default_rng(8).uniform(0, 1, (size, size))
    points = outline(size, 3)
    face = ref.face_of(points[:5], points)
    target = AlignedFace(crop_bgr=crop, landmarks=face.landmarks, matrix=np.eye(2, 3))
    maker = MaskMaker(
        stand_ins,
        MaskOptions(
            kinds=("box", "occlusion", "area", "region"), regions=("skin", "nose", "mouth")
        ),
    )
    result = SwappedCrop(crop_bgr=swapped.astype(np.float32), mask=own.astype(np.float32))
    (ours,) = maker.make_all([target], [result])
    regions = np.repeat(np.isin(rows, [1, 10, 11])[:, np.newaxis], size, axis=1)
    masks = [
        own,
        ref.box_mask(size),
        ref.soft_edge(visible_of(crop, place)),
        ref.soft_edge(hull_mask(points[sorted({*UPPER, *LOWER, *range(48, 68)})], size)),
        ref.soft_edge(regions.astype(np.float64)),
    ]
    expected = np.minimum.reduce(masks)
    assert expected.max() > 0.3
    assert np.abs(ours - expected).mean() < 0.005


@pytest.mark.parametrize(
    ("param", "options"),
    [
        ("masks.kinds", {"kinds": ("circle",)}),
        ("masks.areas", {"areas": ("ears",)}),
        ("masks.regions", {"regions": ("hair",)}),
        ("masks.blur", {"blur": 1.1}),
        ("masks.padding_percent", {"padding_percent": (0, -1, 0, 0)}),
        ("masks.occluders", {"kinds": ("occlusion",), "occluders": ()}),
    ],
)
def test_wrong_options_are_refused_by_name(param, options):
    with pytest.raises(InvalidOptionsError) as caught:
        MaskOptions(**options)
    assert caught.value.param == param
