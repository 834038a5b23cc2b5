from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from benchmarks.stand_ins.build import build_stand_in
from inference.pipeline.registry.load import load_registry
from inference.tests.pipeline.http_site import serve

OWN_MODELS = """
[models.own_enhancer]
family = "face_enhancer"
vendor = "the customer"
licence = "their own"
commercial_ok = true
sources = []
"""


def run(*arguments: str, folder: Path) -> str:
    out = io.StringIO()
    call_command("models", *arguments, "--dir", str(folder), stdout=out, no_color=True)
    return out.getvalue()


def rows_of(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines()[1:]}


@pytest.fixture
def own_dir(model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_dir, tmp_path / "models"))


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A file that fits every face enhancer of 512 px."""
    path = tmp_path / "given_by_hand.onnx"
    path.write_bytes(build_stand_in(load_registry().spec("gfpgan_1.2")))
    return path


def test_build_fills_an_empty_folder_and_then_rests(tmp_path):
    folder = tmp_path / "new" / "models"
    first = run("build", folder=folder)
    assert "5 built, 0 verified" in first
    assert first.count(": built,") == 5
    assert "0 built, 5 verified" in run("build", folder=folder)


def test_list_shows_licence_clearance_size_and_state(own_dir):
    (own_dir / "mesh_swapper_512.onnx").unlink()
    text = run("list", folder=own_dir)
    assert text.splitlines()[0].split() == ["MODEL", "TASK", "LICENCE", "ALLOWED", "SIZE", "STATE"]
    rows = rows_of(text)
    assert rows["face_recogniser_sface"][1:] == [
        *("recogniser", "Apache-2.0", "yes", "38.7", "MB", "ok")
    ]
    assert rows["mesh_swapper_512"][-1] == "missing"
    # Permissive by itself, but of no use without models that are not cleared.
    assert rows["ghost_1_256"][1:] == ["swapper", "Apache-2.0", "no", "514.9", "MB", "missing"]
    assert rows["hififace_unofficial_256"][2:4] == ["unknown", "no"]


def test_list_as_json_says_why_a_model_is_refused(own_dir):
    rows = {row["key"]: row for row in json.loads(run("list", "--json", folder=own_dir))}
    assert len(rows) == len(load_registry().models)
    assert rows["ghost_1_256"]["commercial_ok"] is True
    assert rows["ghost_1_256"]["is_allowed"] is False
    assert "needs 'arcface_w600k_r50'" in rows["ghost_1_256"]["reason"]
    assert rows["mesh_swapper_256"]["reason"] == ""


def test_list_of_one_task_and_of_none(own_dir):
    assert set(rows_of(run("list", "--task", "classifier", folder=own_dir))) == {"fairface"}
    with pytest.raises(CommandError, match="tasks are classifier, converter"):
        run("list", "--task", "swappers", folder=own_dir)


def test_verify_passes_on_a_good_set(own_dir):
    assert "5 models in order" in run("verify", folder=own_dir)


def test_verify_fails_on_a_damaged_file(own_dir):
    path = own_dir / "face_mesh_468.onnx"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(CommandError, match="not usable: face_mesh_468") as caught:
        run("verify", folder=own_dir)
    assert caught.value.returncode == 1


def test_verify_fails_on_a_file_that_nobody_pinned(own_dir, stand_in):
    shutil.copy(stand_in, own_dir / "gfpgan_1.2.onnx")
    with pytest.raises(CommandError, match=r"not usable: gfpgan_1\.2"):
        run("verify", folder=own_dir)


def test_verify_of_a_named_model_that_is_not_there_fails(own_dir):
    with pytest.raises(CommandError, match="not usable: fairface"):
        run("verify", "fairface", folder=own_dir)


def test_build_into_a_place_that_cannot_be_written_says_so(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(CommandError):
        run("build", folder=blocker)


def test_import_without_a_known_checksum_asks_for_one(own_dir, stand_in):
    with pytest.raises(CommandError, match="--trust-first-use"):
        run("import", "gfpgan_1.2", str(stand_in), folder=own_dir)
    assert not (own_dir / "gfpgan_1.2.onnx").exists()


def test_import_on_trust_pins_the_file(own_dir, stand_in):
    said = run("import", "gfpgan_1.2", str(stand_in), "--trust-first-use", folder=own_dir)
    assert "vouched for by first use" in said
    assert "6 models in order" in run("verify", folder=own_dir)
    assert stand_in.exists()


def test_import_of_a_model_that_is_not_cleared_is_refused(own_dir, stand_in):
    with pytest.raises(CommandError, match=r"'codeformer' \(S-Lab-1.0\).*use gfpgan_1\.2"):
        run("import", "codeformer", str(stand_in), "--trust-first-use", folder=own_dir)


def test_a_licence_of_the_operator_lets_a_model_in(own_dir, tmp_path, settings):
    settings.MODELS_LICENSED = ["codeformer"]
    path = tmp_path / "codeformer.bin"
    path.write_bytes(build_stand_in(load_registry().spec("codeformer")))
    assert "codeformer" in run(
        "import", "codeformer", str(path), "--trust-first-use", folder=own_dir
    )


def test_a_model_of_the_operators_own_is_imported_and_timed(own_dir, stand_in, tmp_path, settings):
    extra = tmp_path / "own.toml"
    extra.write_text(OWN_MODELS)
    settings.MODELS_EXTRA = str(extra)
    run("import", "own_enhancer", str(stand_in), "--trust-first-use", folder=own_dir)
    (timing,) = json.loads(run("bench", "own_enhancer", "--runs", "3", "--json", folder=own_dir))
    assert timing["key"] == "own_enhancer"
    assert timing["providers"] == ["CPUExecutionProvider"]
    assert 0 < timing["median_ms"] <= timing["p95_ms"]


def test_bench_prints_a_table(own_dir):
    text = run("bench", "face_mesh_468", "--runs", "2", folder=own_dir)
    assert text.splitlines()[0].split() == ["MODEL", "MEDIAN", "P95", "LOAD", "PROVIDERS"]
    assert "CPUExecutionProvider" in text


@pytest.mark.parametrize("runs", ["0", "-1"])
def test_bench_without_runs_is_refused(own_dir, runs):
    with pytest.raises(CommandError, match="at least 1"):
        run("bench", "face_mesh_468", "--runs", runs, folder=own_dir)


def test_pull_brings_a_model_and_what_it_needs(own_dir, tmp_path, settings):
    extra = tmp_path / "own.toml"
    settings.MODELS_EXTRA = str(extra)
    with serve() as site:
        for key in ("first", "second"):
            site.files[f"/{key}.onnx"] = build_stand_in(load_registry().spec("gfpgan_1.2"))
        source = f'sources = ["{site.address}/{{file}}"]'
        first = OWN_MODELS.replace("own_enhancer", "first").replace("sources = []", source)
        second = first.replace("first", "second") + 'requires = ["first"]\n'
        extra.write_text(first + second)
        said = run("pull", "second", "--trust-first-use", folder=own_dir)
    assert [line.split(":")[0] for line in said.splitlines()] == ["first", "second"]
    assert "7 models in order" in run("verify", folder=own_dir)


def test_pull_while_offline_says_what_to_do_instead(own_dir, settings):
    settings.MODELS_OFFLINE = True
    with pytest.raises(CommandError, match=r"MODELS_OFFLINE .* models import 2dfan4 FILE"):
        run("pull", "2dfan4", folder=own_dir)


def test_pull_of_a_built_in_model_rests_where_it_is_there(own_dir):
    assert "already there" in run("pull", "face_mesh_468", folder=own_dir)


def test_one_checksum_for_several_files_is_refused(own_dir, settings):
    settings.MODEL_POLICY = "any"
    with pytest.raises(CommandError, match=r"one file.*crossface_ghost"):
        run("pull", "ghost_1_256", "--sha256", "0" * 64, folder=own_dir)


def test_an_unknown_provider_in_the_settings_is_named(own_dir, settings):
    settings.ORT_PROVIDERS = ["cudaa"]
    with pytest.raises(CommandError, match="'cudaa' is no execution provider; known are tensorrt"):
        run("bench", "face_mesh_468", folder=own_dir)
