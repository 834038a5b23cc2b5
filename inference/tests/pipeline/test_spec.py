from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.pipeline.enhancers.frame import FrameEnhancerOptions
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.spec import SwapSpec


def test_a_spec_survives_json():
    spec = SwapSpec(
        selector=SelectorOptions(mode="all", order="left_right"),
        frame_enhancer=FrameEnhancerOptions(blend_percent=50),
    )
    assert SwapSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_what_is_left_out_keeps_its_default():
    assert SwapSpec.from_json({}) == SwapSpec()
    assert SwapSpec.from_json({"detector": {"size_px": 320}}).detector.score_min == 0.7


@pytest.mark.parametrize(
    ("stored", "param"),
    [
        ({"version": 2}, "version"),
        ({"unknown": 1}, "unknown"),
        ({"detector": 5}, "detector"),
        ({"detector": {"size": 640}}, "detector.size"),
        ({"detector": {"size_px": "640"}}, "detector.size_px"),
        ({"detector": {"size_px": True}}, "detector.size_px"),
        ({"detector": {"size_px": 641}}, "detector.size_px"),
        ({"detector": {"score_min": 0}}, "detector.score_min"),
        ({"detector": {"angles": [45]}}, "detector.angles"),
        ({"detector": {"angles": []}}, "detector.angles"),
        ({"detector": {"models": []}}, "detector.models"),
        ({"detector": {"models": [1]}}, "detector.models.0"),
        ({"detector": {"margin_percent": [1, 2, 3]}}, "detector.margin_percent"),
        ({"detector": {"margin_percent": [1, 2, 3, 101]}}, "detector.margin_percent"),
        ({"detector": {"faces_max": 0}}, "detector.faces_max"),
        ({"landmarker": {"score_min": 2}}, "landmarker.score_min"),
        ({"selector": {"mode": "some"}}, "selector.mode"),
        ({"selector": {"distance_max": 0}}, "selector.distance_max"),
        ({"selector": {"reference_position": -1}}, "selector.reference_position"),
        ({"selector": {"filter": {"gender": "x"}}}, "selector.filter.gender"),
        ({"selector": {"filter": {"age_from": 40, "age_to": 40}}}, "selector.filter.age_to"),
        ({"selector": {"filter": {"race": "any"}}}, "selector.filter.race"),
        ({"swapper": {"weight": 1.5}}, "swapper.weight"),
        ({"masks": {"kinds": ["circle"]}}, "masks.kinds"),
        ({"masks": {"kinds": ["area"], "areas": []}}, "masks.areas"),
        ({"masks": {"blur": -0.1}}, "masks.blur"),
        ({"tracker": {"detect_every": 0}}, "tracker.detect_every"),
        ({"tracker": {"smoothing": 2}}, "tracker.smoothing"),
        ({"tracker": {"scene_cut_levels": 0}}, "tracker.scene_cut_levels"),
        ({"allow_race": 1}, "allow_race"),
        ({"face_enhancer": {"blend_percent": 101}}, "face_enhancer.blend_percent"),
        ({"face_enhancer": {"model": 4}}, "face_enhancer.model"),
        ({"frame_enhancer": {"blend_percent": -1}}, "frame_enhancer.blend_percent"),
        ({"frame_enhancer": {"scale": 4}}, "frame_enhancer.scale"),
        ({"colour": {"strength": -1}}, "colour.strength"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(stored, param):
    with pytest.raises(InvalidOptionsError) as caught:
        SwapSpec.from_json(stored)
    assert caught.value.param == param
    assert caught.value.code == "invalid_options"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["detector", "landmarker", "selector", "swapper", "masks", "frame_enhancer", "tracker"]
)


# The first draw builds the strategies, which takes seconds on a machine that does much else.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, JSON, max_size=3))
def test_whatever_comes_is_a_spec_or_a_named_mistake(stored):
    try:
        spec = SwapSpec.from_json(stored)
    except InvalidOptionsError:
        return
    assert SwapSpec.from_json(spec.to_json()) == spec
