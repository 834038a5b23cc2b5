from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from inference.pipeline.errors import (
    ModelMismatchError,
    ModelMissingError,
    ModelNotAllowedError,
)
from inference.pipeline.registry import Registry, file_state, load_registry

KEY = "face_mesh_468"


@pytest.fixture
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def own_dir(model_dir: Path, tmp_path: Path, registry: Registry) -> Path:
    """A private folder with one model that a test may damage."""
    shutil.copy(model_dir / registry.spec(KEY).file, tmp_path)
    return tmp_path


def with_uncleared(registry: Registry) -> Registry:
    spec = dataclasses.replace(
        registry.spec("mesh_swapper_256"),
        key="research_swapper",
        licence="Research only",
        commercial_ok=False,
    )
    return Registry(models={**registry.models, spec.key: spec})


def test_a_good_file_resolves_to_its_path(registry, own_dir):
    path = registry.resolve(KEY, model_dir=own_dir, policy="commercial")
    assert path == own_dir / "face_mesh_468.onnx"


def test_an_absent_file_is_missing(registry, tmp_path):
    with pytest.raises(ModelMissingError, match="models build"):
        registry.resolve(KEY, model_dir=tmp_path, policy="commercial")


def test_an_unknown_model_is_missing(registry, tmp_path):
    with pytest.raises(ModelMissingError, match="no_such_model"):
        registry.resolve("no_such_model", model_dir=tmp_path, policy="commercial")


def test_one_flipped_bit_is_a_mismatch(registry, own_dir):
    path = own_dir / registry.spec(KEY).file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert file_state(registry.spec(KEY), model_dir=own_dir) == "wrong checksum"
    with pytest.raises(ModelMismatchError, match="wrong checksum"):
        registry.resolve(KEY, model_dir=own_dir, policy="commercial")


def test_a_cut_file_is_a_mismatch(registry, own_dir):
    path = own_dir / registry.spec(KEY).file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelMismatchError, match="wrong size"):
        registry.resolve(KEY, model_dir=own_dir, policy="commercial")


def test_commercial_policy_names_the_cleared_alternative(registry, tmp_path):
    with pytest.raises(ModelNotAllowedError, match="mesh_swapper_256 or mesh_swapper_512"):
        with_uncleared(registry).resolve(
            "research_swapper", model_dir=tmp_path, policy="commercial"
        )


def test_policy_any_lets_an_uncleared_model_through(registry, tmp_path):
    # The licence is checked first, so the missing file shows that it passed.
    with pytest.raises(ModelMissingError):
        with_uncleared(registry).resolve("research_swapper", model_dir=tmp_path, policy="any")


def test_an_unknown_policy_is_an_error_even_for_cleared_models(registry):
    with pytest.raises(ValueError, match="MODEL_POLICY"):
        registry.check_policy(registry.spec(KEY), policy="comercial")


def test_every_built_in_model_is_cleared_and_complete(registry):
    assert len(registry.models) == 5
    for spec in registry.models.values():
        assert spec.commercial_ok, spec.key
        assert len(spec.sha256) == 64
        assert spec.licence
        assert spec.licence_source
        assert spec.inputs
        assert spec.outputs


def test_a_registry_with_a_misspelt_field_is_refused(tmp_path):
    path = tmp_path / "models.toml"
    path.write_text('[models.x]\nfile = "x.onnx"\n', encoding="utf-8")
    with pytest.raises(KeyError):
        load_registry(path)
