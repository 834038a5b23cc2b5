"""The wheel holds the client, its types, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import importlib.metadata
import facefusion_platform_client as client
version = importlib.metadata.version("facefusion-platform-client")
print(client.__file__, version, client._transport.USER_AGENT)
"""


def test_the_wheel_can_be_imported_and_says_its_version(tmp_path: Path):
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--offline", "--quiet"]
    subprocess.run([*command, "--out-dir", tmp_path, ROOT / "clients" / "python"], check=True)
    (wheel,) = tmp_path.glob("facefusion_platform_client-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert "facefusion_platform_client/py.typed" in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"facefusion_platform_client"}
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    place, version, agent = told.stdout.split()
    assert place.startswith(str(tmp_path / "site"))
    assert agent == f"facefusion-platform-client/{version}"
