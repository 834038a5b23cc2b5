from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from onnx import TensorProto

from benchmarks.stand_ins import build, pictures
from benchmarks.stand_ins.build import install_stand_ins
from benchmarks.stand_ins.pixels import picture_input
from inference.pipeline.builtin.build import build_builtin_models
from inference.pipeline.builtin.graph import Graph
from inference.pipeline.engine import Engine
from inference.pipeline.errors import (
    ContentBlockedError,
    InvalidOptionsError,
    SafetyUnavailableError,
)
from inference.pipeline.job import IdentityPictures, SwapRequest, prepare_job
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.safety.check import SafetyCheck, SafetyPolicy, VideoSampler
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.sessions.loading import SessionOptions
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap import swap_image
from inference.tests.pipeline.conftest import Recorder

KEYS = ("nsfw_1", "nsfw_2", "nsfw_3")
# The stand-ins object to a picture in the measure in which red exceeds green.
RED = np.full((90, 160, 3), (0, 0, 255), np.uint8)
GREY = np.full((90, 160, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    registry = load_registry()
    build_builtin_models(registry=registry, model_dir=folder, on_done=lambda report: None)
    registry = install_stand_ins(registry=registry, keys=KEYS, model_dir=folder)
    return SessionPool(
        registry=registry, model_dir=folder, policy=LicencePolicy(), options=SessionOptions()
    )


@pytest.fixture
def check(pool):
    return SafetyCheck(pool, SafetyPolicy(models=KEYS))


def swap(pool, source, target, policy):
    return swap_image(
        engine=Engine(pool, safety=policy),
        request=SwapRequest(
            spec=SwapSpec(selector=SelectorOptions(mode="largest")),
            identities=[IdentityPictures([source])],
        ),
        target_bgr=target,
        observer=Recorder(),
    )


def test_every_classifier_objects_to_what_it_should(check):
    assert check.objectors(RED) == KEYS
    assert check.objectors(GREY) == ()


def test_two_votes_block_and_are_named(check):
    check.require(GREY, where="target")
    with pytest.raises(ContentBlockedError) as caught:
        check.require(RED, where="target")
    assert caught.value.code == "content_blocked_in_target"
    assert caught.value.objectors == KEYS


def test_nothing_is_checked_without_classifiers(pool):
    SafetyCheck(pool, SafetyPolicy()).require(RED, where="source")


def test_a_missing_classifier_lets_nothing_pass(pool, model_dir):
    bare = SessionPool(
        registry=load_registry(),
        model_dir=model_dir,
        policy=LicencePolicy(),
        options=SessionOptions(),
    )
    with pytest.raises(SafetyUnavailableError, match="nsfw_1"):
        Engine(bare, safety=SafetyPolicy(models=KEYS))
    with pytest.raises(SafetyUnavailableError, match="no classifier"):
        Engine(bare, safety=SafetyPolicy(models=("face_mesh_468",), votes_min=1))


def test_a_failing_classifier_lets_nothing_pass(check):
    broken = np.zeros((0, 0, 3), np.uint8)
    with pytest.raises(SafetyUnavailableError):
        check.require(broken, where="target")


@pytest.mark.parametrize(("votes", "share"), [(0, 0.1), (4, 0.1), (2, 1.0), (2, -0.1)])
def test_a_policy_that_cannot_work_is_refused(votes, share):
    with pytest.raises(InvalidOptionsError):
        SafetyPolicy(models=KEYS, votes_min=votes, video_share_max=share)


@pytest.mark.parametrize("where", ["source", "target"])
def test_a_swap_checks_source_and_target(pool, astronaut, hopper, where):
    def redden(image):
        tinted = image.astype(np.int16) + np.asarray([-200, -200, 120])
        return np.clip(tinted, 0, 255).astype(np.uint8)

    pictures = {"source": astronaut, "target": hopper}
    pictures[where] = redden(pictures[where])
    with pytest.raises(ContentBlockedError) as caught:
        swap(pool, pictures["source"], pictures["target"], SafetyPolicy(models=KEYS))
    assert caught.value.where == where


def test_a_harmless_swap_passes_and_a_strict_policy_sees_the_result(pool, astronaut, hopper):
    assert swap(pool, astronaut, hopper, SafetyPolicy(models=KEYS, votes_min=3)).faces


def test_a_video_may_have_a_tenth_of_doubtful_samples(check):
    sampler = VideoSampler(check, "target", frames_between=25, frames_total=500)
    for index in range(20):
        assert sampler.is_due(index * 25)
        assert not sampler.is_due(index * 25 + 1)
        sampler.look(RED if index < 2 else GREY)
    sampler.finish()
    sampler.samples_count = 20
    with pytest.raises(ContentBlockedError):
        sampler.look(RED)
    assert not dataclasses.replace(sampler).is_due(-25)


def test_a_short_red_video_is_blocked_at_once(check):
    sampler = VideoSampler(check, "result", frames_between=25, frames_total=50)
    with pytest.raises(ContentBlockedError) as caught:
        sampler.look(RED)
    assert caught.value.code == "content_blocked_in_result"


def test_a_source_is_checked_once_per_job(pool, astronaut):
    engine = Engine(pool, safety=SafetyPolicy(models=KEYS))
    request = SwapRequest(spec=SwapSpec(), identities=[IdentityPictures([RED])])
    with pytest.raises(ContentBlockedError):
        prepare_job(engine=engine, request=request)


def brittle(spec, options):
    """A classifier that breaks over red pictures: it looks beyond the end of a table."""
    graph = Graph()
    excess = pictures._excess(picture_input(graph, spec, options), spec).reshape(-1)
    index = graph.apply("Cast", ((excess - 0.2) * 100.0).clip(0.0, 9.0), to=TensorProto.INT64)
    table = graph.constant(np.zeros((1, len(spec.params["weights"])), np.float32))
    graph.output(
        "logits",
        graph.apply("Gather", table, index, axis=0),
        [options.batch, len(spec.params["weights"])],
    )
    return graph


@pytest.fixture
def brittle_pool(tmp_path, monkeypatch):
    monkeypatch.setitem(build.BUILDERS, "nsfw_logits", brittle)
    registry = load_registry()
    build_builtin_models(registry=registry, model_dir=tmp_path, on_done=lambda report: None)
    key = next(key for key in KEYS if registry.spec(key).contract == "nsfw_logits")
    registry = install_stand_ins(registry=registry, keys=(key,), model_dir=tmp_path)
    pool = SessionPool(
        registry=registry, model_dir=tmp_path, policy=LicencePolicy(), options=SessionOptions()
    )
    return pool, SafetyPolicy(models=(key,), votes_min=1)


@pytest.mark.parametrize("where", ["source", "target", "result"])
def test_a_crash_of_a_classifier_lets_nothing_pass_anywhere(brittle_pool, astronaut, hopper, where):
    pool, policy = brittle_pool
    assert swap(pool, astronaut, hopper, policy).faces
    shown = {"source": astronaut, "target": hopper} | {where: RED}

    def look():
        if where == "result":
            SafetyCheck(pool, policy).require(RED, where="result")
        swap(pool, shown["source"], shown["target"], policy)

    with pytest.raises(SafetyUnavailableError, match="a classifier failed"):
        look()
