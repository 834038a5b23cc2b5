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
from inference.pipeline.registry.policy import LicencePolicy, check_licence
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


# --- the published models


def test_every_published_model_can_be_fetched_and_is_attributed(registry):
    published = [spec for spec in registry.models.values() if spec.origin is None]
    assert len(published) == 62
    for spec in published:
        first, second = spec.sources
        assert first.startswith(
            "https://github.com/facefusion/facefusion-assets/releases/download/"
        )
        assert second.startswith("https://huggingface.co/facefusion/models-")
        assert first.endswith(f"/{spec.file}")
        assert second.endswith(f"/{spec.file}")
        assert spec.vendor
        assert spec.licence
        assert spec.has_crc32


def test_no_published_swapper_is_cleared_for_business(registry):
    for spec in registry.by_task("swapper"):
        if spec.origin is None:
            with pytest.raises(ModelNotAllowedError, match="use mesh_swapper_256"):
                check_licence(registry=registry, spec=spec, policy=COMMERCIAL)


def test_what_swappers_name_is_described(registry):
    for spec in registry.by_task("swapper"):
        params = spec.params
        if "recogniser" in params:
            assert registry.spec(params["recogniser"]).task == "recogniser"
            assert params["recogniser"] in spec.requires
        if params.get("latent") == "converter":
            assert registry.spec(params["converter"]).task == "converter"
            assert params["converter"] in spec.requires
        for size in params.get("boost_sizes_px", ()):
            assert size % spec.crop_size_px == 0


def test_a_half_precision_file_has_the_same_contract(registry):
    pairs = [
        (spec, registry.spec(spec.fp16_key)) for spec in registry.models.values() if spec.fp16_key
    ]
    assert len(pairs) == 4
    for full, half in pairs:
        assert full.contract == half.contract
        assert full.inputs == half.inputs
        assert full.params == half.params


# --- a deployment's own file


def own_file(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_own_model_takes_a_known_family_and_its_own_values(tmp_path):
    path = own_file(
        tmp_path,
        """
        [models.own_swapper]
        family = "hyperswap"
        file = "swapper_v7.onnx"
        sources = ["https://models.example.com/{file}"]
        vendor = "ours"
        licence = "ours"
        commercial_ok = true
        crop_size_px = 512
        params = { boost_sizes_px = [512, 1024] }
        """,
    )
    spec = load_registry(extra=path).spec("own_swapper")
    assert spec.contract == "hyperswap"
    assert spec.sources == ("https://models.example.com/swapper_v7.onnx",)
    assert spec.inputs[1].shape == ("?", 3, 512, 512)
    assert spec.params["boost_sizes_px"] == [512, 1024]
    assert spec.params["output_range"] == "symmetric"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[models.face_mesh_468]\nfamily = 'xseg'", "is described in models.toml already"),
        ("[models.x]\nfamily = 'xsegg'", "model 'x': 'xsegg'"),
        ("[models.x]\nfamily = 'xseg'\nlicense = 'MIT'", "unexpected keyword argument 'license'"),
        ("[models.x]\nfamily = 'xseg'\nsha256 = 'abc'", "64 lowercase hex digits"),
        ("[models.x]\nfamily = 'xseg'\nfile = '../x.onnx'", "not a plain name"),
        ("[models.x]\nfamily = 'xseg'\nfile = 'xseg_1.onnx'", "the same file name"),
        ("[models.x]\nfamily = 'xseg'\nsources = ['ftp://x/y']", "http or https"),
        ("[models.x]\nfamily = 'xseg'\nrequires = ['y']", "names 'y', which is not described"),
        ("[models.x]\nfamily = 'xseg'\ncolour = 'YUV'", "colour is 'YUV'"),
        ("[models.x]\nfamily = 'xseg'\noutputs_by = 'luck'", "outputs_by is 'luck'"),
        ("[models.x]\nfamily = 'xseg'\ninputs = []", "needs inputs and outputs"),
        ("[models.x]\nfamily = 'xseg'\nrequires = ['x']", "in a circle: x -> x"),
        ("[model.x]\nfamily = 'xseg'", "unknown tables"),
        ("[models.x", "cannot be read as TOML"),
    ],
)
def test_a_wrong_own_file_is_refused_with_the_reason(tmp_path, text, reason):
    with pytest.raises(ValueError, match=reason):
        load_registry(extra=own_file(tmp_path, text))


def test_an_absent_own_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        load_registry(extra=tmp_path / "nothing.toml")
