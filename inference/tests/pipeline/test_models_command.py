from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


def run(action: str, folder: Path) -> str:
    out = io.StringIO()
    call_command("models", action, dir=folder, stdout=out, no_color=True)
    return out.getvalue()


@pytest.fixture
def own_dir(model_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_dir, tmp_path / "models"))


def test_build_fills_an_empty_folder_and_then_rests(tmp_path):
    first = run("build", tmp_path / "new" / "models")
    assert "5 built, 0 verified" in first
    assert first.count(": built,") == 5
    assert "0 built, 5 verified" in run("build", tmp_path / "new" / "models")


def test_list_shows_licence_clearance_size_and_state(own_dir):
    (own_dir / "mesh_swapper_512.onnx").unlink()
    lines = run("list", own_dir).splitlines()
    assert lines[0].split() == ["MODEL", "TASK", "LICENCE", "COMMERCIAL", "SIZE", "STATE"]
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert rows["face_recogniser_sface"][1:] == [
        *("recogniser", "Apache-2.0", "yes", "38.7", "MB", "ok")
    ]
    assert rows["mesh_swapper_512"][-1] == "missing"


def test_verify_passes_on_a_good_set(own_dir):
    assert "5 models in order" in run("verify", own_dir)


def test_verify_fails_on_a_damaged_file(own_dir):
    path = own_dir / "face_mesh_468.onnx"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(CommandError, match="not usable: face_mesh_468") as caught:
        run("verify", own_dir)
    assert caught.value.returncode == 1


def test_build_into_a_place_that_cannot_be_written_says_so(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(CommandError):
        run("build", blocker)
