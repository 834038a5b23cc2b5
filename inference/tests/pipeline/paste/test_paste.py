"""Pasting touches its region only; colours and gains follow their formulas and do not pump."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.paste.blend import (
    blend_into,
    match_detail,
    measure_gains,
    paste_into,
)
from inference.pipeline.paste.colour import ColourOptions, apply_shift, measure_shift
from inference.tests.pipeline import reference as ref

SIZE = 64


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@st.composite
def placements(draw):
    """(2, 3): a crop anywhere, also half or fully beside a picture of 120 x 90."""
    angle = draw(st.floats(-np.pi, np.pi))
    scale = draw(st.floats(0.4, 3))
    linear = np.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    centre = np.asarray([draw(st.floats(-40, 160)), draw(st.floats(-40, 130))])
    return np.column_stack([linear, SIZE / 2 - linear @ centre])


@settings(max_examples=80)
@given(placements(), st.booleans(), st.integers(0, 99))
def test_pixels_outside_the_mask_stay_bit_by_bit(matrix, has_detail, seed):
    picture = noise(90, 120, 3, seed=seed)
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[20:44, 16:48] = 1
    crop = noise(SIZE, SIZE, 3, seed=seed + 1).astype(np.float32)
    result = picture.copy()
    paste = paste_into if has_detail else blend_into
    paste(result, crop_bgr=crop, mask=mask, matrix=matrix)
    y, x = np.mgrid[0:90, 0:120].astype(np.float64)
    u, v = ref.move(matrix, x, y)
    # Cubic filters reach two pixels, of the coarser of the two grids.
    reach = 3 * max(1, np.hypot(matrix[0, 0], matrix[1, 0]))
    away = (u < 16 - reach) | (u > 48 + reach) | (v < 20 - reach) | (v > 44 + reach)
    np.testing.assert_array_equal(result[away], picture[away])


@settings(max_examples=60)
@given(st.floats(0, 255, width=32), st.floats(0, 1, width=32), st.integers(0, 255))
def test_a_blend_is_rounded_to_the_nearest_level(value, share, level):
    picture = np.full((90, 120, 3), level, np.uint8)
    shift = np.asarray([[1.0, 0, -20], [0, 1.0, -10]])
    blend_into(
        picture,
        crop_bgr=np.full((SIZE, SIZE, 3), value, np.float32),
        mask=np.full((SIZE, SIZE), share, np.float32),
        matrix=shift,
    )
    # Below 1/512 nothing is painted: it could not change a level by one.
    seen = share if share > 1 / 512 else 0
    expected = level + (np.float64(value) - level) * seen
    assert np.abs(picture[14:60, 24:80] - expected).max() <= 0.5 + 1e-3


def test_an_empty_mask_changes_nothing():
    picture = noise(90, 120, 3)
    result = picture.copy()
    empty = np.zeros((SIZE, SIZE), np.float32)
    crop = np.zeros((SIZE, SIZE, 3), np.float32)
    paste_into(result, crop_bgr=crop, mask=empty, matrix=np.eye(2, 3))
    np.testing.assert_array_equal(result, picture)


def portrait(seed, *, sigma=1.0, size=160):
    detail = np.random.default_rng(seed).normal(0, 30, (size, size, 3))
    smooth = cv2.GaussianBlur(detail, (0, 0), sigma) * sigma * 2 + 128
    return np.clip(smooth, 0, 255).astype(np.float32)


def test_measured_gains_sharpen_a_soft_crop_and_leave_an_equal_one():
    mask = np.ones((160, 160), np.float32)
    sharp, soft = portrait(1), portrait(1, sigma=2.5)
    same = measure_gains(sharp, target_bgr=sharp, mask=mask)
    assert same is not None
    assert same.gains == pytest.approx((1, 1), abs=1e-6)
    assert same.grains == pytest.approx((0, 0), abs=1e-6)
    np.testing.assert_allclose(match_detail(sharp, target_bgr=sharp, mask=mask), sharp, atol=1e-4)
    lifted = measure_gains(soft, target_bgr=sharp, mask=mask)
    assert lifted is not None
    assert max(lifted.gains) > 1.2
    nothing = np.zeros((160, 160), np.float32)
    assert measure_gains(soft, target_bgr=sharp, mask=nothing) is None


# --- colour


def statistics(image, inside):
    lab = cv2.cvtColor((image / 255).astype(np.float32), cv2.COLOR_BGR2LAB)[inside]
    return lab.astype(np.float64).mean(axis=0), lab.astype(np.float64).std(axis=0)


def test_colours_take_on_mean_and_spread_of_the_target_inside_the_mask():
    crop = 100 + (portrait(2) - 128) * np.float32(0.3)
    target = portrait(3) * np.float32(0.4) + np.asarray([20, 50, 80], np.float32)
    mask = np.zeros((160, 160), np.float32)
    mask[30:130, 40:120] = 1
    # Outside the mask both are something else, which must not count.
    crop[mask == 0], target[mask == 0] = 250, 3
    shift = measure_shift(crop, target_bgr=target, mask=mask)
    assert shift is not None
    full = apply_shift(crop, shift, strength=1.0)
    for ours, theirs in zip(statistics(full, mask > 0), statistics(target, mask > 0), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.6)
    half = apply_shift(crop, shift, strength=0.5)
    np.testing.assert_allclose(half, (crop + full) / 2, atol=1e-3)
    np.testing.assert_array_equal(apply_shift(crop, shift, strength=0.0), crop)


def test_a_grey_target_makes_a_grey_face_without_noise():
    grey = portrait(4)[:, :, :1].repeat(3, axis=2)
    crop = portrait(5)
    mask = np.ones((160, 160), np.float32)
    shift = measure_shift(crop, target_bgr=grey, mask=mask)
    assert shift is not None
    assert shift.ratio[1:] == (1, 1)
    result = apply_shift(crop, shift, strength=1.0)
    mean, _ = statistics(result, mask > 0)
    assert np.abs(mean[1:]).max() < 0.6
    back = measure_shift(grey, target_bgr=crop, mask=mask)
    assert back is not None
    assert np.isfinite(apply_shift(grey, back, strength=1.0)).all()
    assert back.ratio[1:] == (1, 1)


def test_a_few_pixels_say_nothing_about_colour():
    mask = np.zeros((160, 160), np.float32)
    mask[:5, :5] = 1
    assert measure_shift(portrait(1), target_bgr=portrait(2), mask=mask) is None


def test_a_strength_out_of_range_is_refused_by_name():
    with pytest.raises(InvalidOptionsError) as caught:
        ColourOptions(strength=1.5)
    assert caught.value.param == "colour.strength"


def test_a_paste_takes_on_the_light_of_each_frame():
    crop, mask = portrait(6, size=SIZE), np.ones((SIZE, SIZE), np.float32)
    matrix = np.asarray([[1.0, 0, -40], [0, 1.0, -40]])
    levels: dict[float, list[float]] = {}
    for strength in (0.0, 0.5, 1.0):
        levels[strength] = []
        for light in (-25, 25):
            frame = np.clip(portrait(7) + light, 0, 255).astype(np.uint8)
            paste_into(frame, crop_bgr=crop, mask=mask, matrix=matrix, colour_strength=strength)
            levels[strength].append(float(frame[50:90, 50:90].mean()))
    moved = [np.diff(levels[strength])[0] for strength in (0.0, 0.5, 1.0)]
    assert abs(moved[0]) < 1
    assert moved[1] == pytest.approx(moved[2] / 2, rel=0.15)
    assert moved[2] > 40
