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
from inference.pipeline.registry.files import file_state, resolve
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.registry.spec import Registry

KEY = "face_mesh_468"
COMMERCIAL = LicencePolicy()


@pytest.fixture
def registry() -> Registry:
    return load_registry()


@pytest.fixture
def own_dir(model_dir: Path, tmp_path: Path, registry: Registry) -> Path:
    """A private folder with one model that a test may damage."""
    shutil.copy(model_dir / registry.spec(KEY).file, tmp_path)
    return tmp_path


def with_uncleared(registry: Registry) -> Registry:
    base = registry.spec("mesh_swapper_256")
    spec = dataclasses.replace(
        base,
        key="research_swapper",
        file="research_swapper.onnx",
        licence="Research only",
        commercial_ok=False,
    )
    return Registry(models={**registry.models, spec.key: spec})


def find(registry: Registry, key: str, folder: Path, policy: LicencePolicy = COMMERCIAL) -> Path:
    return resolve(registry=registry, key=key, model_dir=folder, policy=policy)


def test_a_good_file_resolves_to_its_path(registry, own_dir):
    assert find(registry, KEY, own_dir) == own_dir / "face_mesh_468.onnx"


def test_an_absent_file_is_missing(registry, tmp_path):
    with pytest.raises(ModelMissingError, match="models build"):
        find(registry, KEY, tmp_path)


def test_an_unknown_model_is_missing(registry, tmp_path):
    with pytest.raises(ModelMissingError, match="no_such_model"):
        find(registry, "no_such_model", tmp_path)


def test_one_flipped_bit_is_a_mismatch(registry, own_dir):
    path = own_dir / registry.spec(KEY).file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert file_state(registry.spec(KEY), model_dir=own_dir) == "wrong checksum"
    with pytest.raises(ModelMismatchError, match="wrong checksum"):
        find(registry, KEY, own_dir)


def test_a_cut_file_is_a_mismatch(registry, own_dir):
    path = own_dir / registry.spec(KEY).file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelMismatchError, match="wrong size"):
        find(registry, KEY, own_dir)


def test_a_file_that_nobody_pinned_is_a_mismatch(registry, own_dir):
    spec = dataclasses.replace(registry.spec(KEY), sha256="", size_bytes=0)
    unpinned = Registry(models={**registry.models, KEY: spec})
    assert file_state(spec, model_dir=own_dir) == "not pinned"
    with pytest.raises(ModelMismatchError, match="was not imported"):
        find(unpinned, KEY, own_dir)


def test_commercial_policy_names_the_cleared_alternative(registry, tmp_path):
    with pytest.raises(ModelNotAllowedError, match="mesh_swapper_256 or mesh_swapper_512"):
        find(with_uncleared(registry), "research_swapper", tmp_path)


def test_policy_any_lets_an_uncleared_model_through(registry, tmp_path):
    # The licence is checked first, so the missing file shows that it passed.
    with pytest.raises(ModelMissingError):
        find(with_uncleared(registry), "research_swapper", tmp_path, LicencePolicy(name="any"))


def test_a_licence_of_the_operator_lifts_the_refusal(registry, tmp_path):
    policy = LicencePolicy(licensed=frozenset({"research_swapper"}))
    with pytest.raises(ModelMissingError):
        find(with_uncleared(registry), "research_swapper", tmp_path, policy)


def test_a_cleared_model_that_needs_an_uncleared_one_is_refused(registry, tmp_path):
    widened = with_uncleared(registry)
    needy = dataclasses.replace(
        registry.spec("mesh_swapper_512"), requires=("research_swapper",), key="needy"
    )
    widened = Registry(models={**widened.models, "needy": needy})
    with pytest.raises(ModelNotAllowedError, match="'needy' needs 'research_swapper'"):
        find(widened, "needy", tmp_path)


def test_an_unknown_policy_is_an_error():
    with pytest.raises(ValueError, match="MODEL_POLICY"):
        LicencePolicy(name="comercial")


def test_every_built_in_model_is_cleared_and_complete(registry):
    assert len(registry.builtin()) == 5
    for spec in registry.builtin():
        assert spec.commercial_ok, spec.key
        assert len(spec.sha256) == 64
        assert spec.licence
        assert spec.licence_source


def test_an_incomplete_description_is_refused(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[models.x]\ntask = "swapper"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"own\.toml: model 'x'"):
        load_registry(extra=path)
