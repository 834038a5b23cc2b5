from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from inference.pipeline.engine import Engine, EngineConfig
from inference.pipeline.errors import ModelMismatchError, ModelMissingError
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.spec import TensorSpec
from inference.pipeline.sessions.loading import SessionOptions, open_session
from inference.pipeline.sessions.providers import provider_named
from inference.pipeline.swappers.mesh import MeshSwapper

CPU = SessionOptions()
CPU_NAME = "CPUExecutionProvider"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model that doubles an (N, 2) tensor."""
    shape: list[str | int | None] = ["N", 2]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "tiny.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def spec_of(*, name: str = "x", dtype: str = "tensor(float)", shape: tuple[int | str, ...]):
    base = load_registry().spec("face_mesh_468")
    return dataclasses.replace(
        base,
        key="tiny",
        inputs=(TensorSpec(name, dtype, shape),),
        outputs=(TensorSpec("y", "tensor(float)", ("N", 2)),),
    )


def test_a_model_that_fits_its_description_runs(tiny):
    model = open_session(spec=spec_of(shape=("N", 2)), path=tiny, options=CPU)
    (doubled,) = model.run({"x": np.ones((3, 2), np.float32)})
    assert doubled.tolist() == [[2, 2]] * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "image", "shape": ("N", 2)},
        {"dtype": "tensor(uint8)", "shape": ("N", 2)},
        {"shape": ("N", 3)},
        {"shape": ("N", 2, 1)},
        {"shape": (1, 2)},
        {"shape": ("N", "W")},
    ],
)
def test_other_tensors_than_described_are_a_mismatch(tiny, wrong):
    with pytest.raises(ModelMismatchError, match="described"):
        open_session(spec=spec_of(**wrong), path=tiny, options=CPU)


def test_a_file_that_is_no_model_is_a_mismatch(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("not a model")
    with pytest.raises(ModelMismatchError, match="cannot be loaded"):
        open_session(spec=spec_of(shape=("N", 2)), path=path, options=CPU)


@pytest.mark.parametrize("names", [("tensorrt", "cpu"), ()])
def test_a_provider_that_this_runtime_lacks_is_a_mismatch(tiny, names):
    options = SessionOptions(providers=tuple(provider_named(name) for name in names))
    with pytest.raises(ModelMismatchError, match="not in this build"):
        open_session(spec=spec_of(shape=("N", 2)), path=tiny, options=options)


def test_a_silent_fallback_to_the_cpu_is_a_mismatch(tiny, monkeypatch):
    # A machine with the GPU build but no driver: the runtime lists the provider, warns, and then
    # hands out a session that runs on the CPU.
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", CPU_NAME])
    real = ort.InferenceSession
    monkeypatch.setattr(
        ort,
        "InferenceSession",
        lambda path, options, providers: real(path, options, providers=[CPU_NAME]),
    )
    with pytest.raises(ModelMismatchError, match="CUDAExecutionProvider"):
        open_session(
            spec=spec_of(shape=("N", 2)),
            path=tiny,
            options=SessionOptions(providers=(provider_named("cuda"), provider_named("cpu"))),
        )


def test_an_engine_without_models_says_what_is_missing(tmp_path):
    config = EngineConfig(model_dir=tmp_path)
    with pytest.raises(ModelMissingError, match="face_detector_yunet"):
        Engine.open(config)


def test_a_closed_engine_cannot_be_used(model_dir):
    engine = Engine.open(EngineConfig(model_dir=model_dir))
    assert engine.model("face_detector_yunet").spec.task == "detector"
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.model("face_detector_yunet")


def test_the_crop_grows_with_the_face(engine):
    swapper = MeshSwapper(engine.pool)
    sizes = [swapper.crop_size_px(face_px=side) for side in (40, 380, 390, 4000)]
    assert sizes == [256, 256, 512, 512]
