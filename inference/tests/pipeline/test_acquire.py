"""Downloads from a real HTTP server on this machine that cuts, lies and disappears on demand."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import io
import threading
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.stand_ins.build import build_stand_in
from inference.pipeline.acquire.http import KeepEncryption, SourceError
from inference.pipeline.acquire.importing import Trust, import_file
from inference.pipeline.acquire.pull import PullOptions, pull_model
from inference.pipeline.errors import (
    ModelDownloadError,
    ModelMismatchError,
    ModelMissingError,
    ModelNotPinnedError,
)
from inference.pipeline.registry.emap import emap_path, read_emap
from inference.pipeline.registry.files import file_state, resolve
from inference.pipeline.registry.imports import read_imports
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.registry.spec import ModelSpec, Registry
from inference.tests.pipeline.http_site import Site, serve

FAST = PullOptions(attempts=4, pause_s=0.01, timeout_s=5)
ANY = LicencePolicy(name="any")
NOTHING = Trust()
FIRST_USE = Trust(is_first_use=True)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def data() -> bytes:
    return build_stand_in(load_registry().spec("arcface_w600k_r50"))


@pytest.fixture(scope="module")
def swapper_data() -> bytes:
    return build_stand_in(load_registry().spec("inswapper_128"))


@pytest.fixture
def spec(site: Site, swapper_data: bytes) -> ModelSpec:
    """A pinned model of one megabyte with two mirrors."""
    return dataclasses.replace(
        load_registry().spec("inswapper_128"),
        sha256=hashlib.sha256(swapper_data).hexdigest(),
        size_bytes=len(swapper_data),
        sources=(site.url("/a/model.onnx"), site.url("/b/model.onnx")),
    )


@pytest.fixture
def unpinned(site: Site) -> ModelSpec:
    return dataclasses.replace(
        load_registry().spec("arcface_w600k_r50"),
        sha256="",
        size_bytes=0,
        sources=(site.url("/a/model.onnx"),),
    )


def pull(spec: ModelSpec, folder: Path, trust: Trust = NOTHING, options: PullOptions = FAST):
    seen: list[tuple[int, int]] = []
    record = pull_model(
        spec=spec,
        model_dir=folder,
        trust=trust,
        options=options,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    return record, seen


def take(spec: ModelSpec, path: Path, folder: Path, trust: Trust = NOTHING):
    return import_file(
        spec=spec, path=path, model_dir=folder, trust=trust, on_bytes=lambda count: None
    )


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if ".part" in path.name}


# --- downloads


def test_a_download_is_checked_recorded_and_not_repeated(site, spec, swapper_data, tmp_path):
    site.files["/a/model.onnx"] = swapper_data
    record, seen = pull(spec, tmp_path)
    assert seen[-1] == (len(swapper_data), len(swapper_data))
    assert (record.trust, record.source) == ("registry", site.url("/a/model.onnx"))
    assert (tmp_path / spec.file).read_bytes() == swapper_data
    assert (tmp_path / spec.file).stat().st_mode & 0o777 == 0o644
    assert visible(tmp_path) == {spec.file, "inswapper_128.emap.npy", "imported.toml"}
    assert leftovers(tmp_path) == set()
    assert pull(spec, tmp_path)[0] is None
    assert len(site.asked) == 1


def test_a_cut_connection_is_continued_where_it_broke_off(site, spec, swapper_data, tmp_path):
    site.files["/a/model.onnx"] = swapper_data
    site.cuts["/a/model.onnx"] = [300_000, 200_000]
    pull(spec, tmp_path)
    assert [wanted for _, wanted in site.asked] == ["", "bytes=300000-", "bytes=500000-"]
    assert (tmp_path / spec.file).read_bytes() == swapper_data


def test_a_later_process_continues_an_abandoned_download(site, spec, swapper_data, tmp_path):
    site.files["/a/model.onnx"] = swapper_data
    site.cuts["/a/model.onnx"] = [300_000]
    once = dataclasses.replace(FAST, attempts=1)
    with pytest.raises(ModelDownloadError, match="cut after 300000 of"):
        pull(spec, tmp_path, options=once)
    assert not (tmp_path / spec.file).exists()
    pull(spec, tmp_path, options=once)
    assert site.asked[-1] == ("/a/model.onnx", "bytes=300000-")
    assert (tmp_path / spec.file).read_bytes() == swapper_data


def test_a_server_without_ranges_starts_again(site, spec, swapper_data, tmp_path):
    site.files["/a/model.onnx"] = swapper_data
    site.has_ranges = False
    site.cuts["/a/model.onnx"] = [300_000]
    pull(spec, tmp_path)
    assert (tmp_path / spec.file).read_bytes() == swapper_data


def test_a_mirror_continues_what_another_began_if_a_checksum_decides(
    site, spec, swapper_data, tmp_path
):
    site.files["/a/model.onnx"] = site.files["/b/model.onnx"] = swapper_data
    site.cuts["/a/model.onnx"] = [300_000, 0, 0, 0]
    pull(spec, tmp_path)
    assert site.asked[-1] == ("/b/model.onnx", "bytes=300000-")
    assert (tmp_path / spec.file).read_bytes() == swapper_data


def test_a_missing_file_is_taken_from_the_next_mirror(site, spec, swapper_data, tmp_path):
    site.files["/b/model.onnx"] = swapper_data
    record, _ = pull(spec, tmp_path)
    assert record.source == site.url("/b/model.onnx")
    # A file that is not there is not asked for again.
    assert [path for path, _ in site.asked] == ["/a/model.onnx", "/b/model.onnx"]


def test_wrong_bytes_are_never_used_and_the_next_mirror_is_asked(
    site, spec, swapper_data, tmp_path
):
    forged = bytearray(swapper_data)
    forged[700_000] ^= 1
    site.files["/a/model.onnx"], site.files["/b/model.onnx"] = bytes(forged), swapper_data
    record, _ = pull(spec, tmp_path)
    assert record.source == site.url("/b/model.onnx")
    assert (tmp_path / spec.file).read_bytes() == swapper_data


def test_wrong_bytes_from_every_mirror_leave_nothing(site, spec, swapper_data, tmp_path):
    forged = swapper_data[:-1] + b"x"
    site.files["/a/model.onnx"] = site.files["/b/model.onnx"] = forged
    with pytest.raises(ModelDownloadError, match=r"SHA-256.*; http.*SHA-256"):
        pull(spec, tmp_path)
    assert visible(tmp_path) == set()
    assert leftovers(tmp_path) == set()


def test_the_rest_of_another_file_does_not_spoil_the_download(site, spec, swapper_data, tmp_path):
    (tmp_path / f".{spec.file}.part").write_bytes(b"y" * 1000)
    site.files["/a/model.onnx"] = swapper_data
    pull(spec, tmp_path)
    assert [wanted for _, wanted in site.asked] == ["bytes=1000-", ""]
    assert (tmp_path / spec.file).read_bytes() == swapper_data


def test_a_file_of_another_size_is_refused_before_it_is_received(site, spec, tmp_path):
    site.files["/a/model.onnx"] = b"z" * 5_000_000
    with pytest.raises(ModelDownloadError, match="offers 5000000 bytes"):
        pull(spec, tmp_path)
    assert leftovers(tmp_path) == set()


def test_a_file_that_changed_meanwhile_is_received_whole(site, unpinned, data, tmp_path):
    other = build_stand_in(load_registry().spec("crossface_ghost"))
    site.files["/a/model.onnx"] = other
    site.cuts["/a/model.onnx"] = [len(other) // 2]
    with pytest.raises(ModelDownloadError):
        pull(unpinned, tmp_path, FIRST_USE, dataclasses.replace(FAST, attempts=1))
    site.files["/a/model.onnx"] = data
    pull(unpinned, tmp_path, FIRST_USE)
    assert (tmp_path / unpinned.file).read_bytes() == data


def test_a_source_that_nobody_serves_is_reported_with_its_reason(spec, tmp_path):
    dead = dataclasses.replace(spec, sources=("http://127.0.0.1:9/model.onnx",))
    with pytest.raises(ModelDownloadError, match="refused"):
        pull(dead, tmp_path)


def test_a_redirection_to_a_local_file_is_not_followed(site, spec, tmp_path):
    site.redirects["/a/model.onnx"] = "file:///etc/hostname"
    with pytest.raises(ModelDownloadError):
        pull(spec, tmp_path)
    assert visible(tmp_path) == set()


def test_a_redirection_away_from_encryption_is_not_followed(site):
    request = urllib.request.Request("https://models.example.com/model.onnx")
    with pytest.raises(SourceError, match="unencrypted"):
        KeepEncryption().redirect_request(
            request, io.BytesIO(), 302, "Found", http.client.HTTPMessage(), site.url("/model.onnx")
        )


def test_a_redirection_is_followed(site, spec, swapper_data, tmp_path):
    site.redirects["/a/model.onnx"] = site.url("/c/stored.onnx")
    site.files["/c/stored.onnx"] = swapper_data
    record, _ = pull(spec, tmp_path)
    assert record.source == site.url("/a/model.onnx")


def test_two_downloads_at_once_fetch_once(site, spec, swapper_data, tmp_path):
    site.files["/a/model.onnx"] = swapper_data
    threads = [threading.Thread(target=pull, args=(spec, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(site.asked) == 1
    assert file_state(spec, model_dir=tmp_path) == "ok"


def test_offline_touches_no_network(site, spec, tmp_path):
    with pytest.raises(ModelDownloadError, match="MODELS_OFFLINE"):
        pull(spec, tmp_path, options=PullOptions(is_offline=True))
    assert site.asked == []


# --- trust


def test_an_unpinned_model_is_never_taken_silently(site, unpinned, data, tmp_path):
    site.files["/a/model.onnx"] = data
    with pytest.raises(ModelNotPinnedError):
        pull(unpinned, tmp_path)
    assert site.asked == []


def test_trust_on_first_use_pins_and_later_bytes_must_be_equal(site, unpinned, data, tmp_path):
    site.files["/a/model.onnx"] = data
    record, _ = pull(unpinned, tmp_path, FIRST_USE)
    assert record.trust == "first use"
    assert read_imports(tmp_path)["arcface_w600k_r50"] == record
    registry = Registry(models={unpinned.key: unpinned})
    path = resolve(registry=registry, key=unpinned.key, model_dir=tmp_path, policy=ANY)
    path.unlink()
    site.files["/a/model.onnx"] = data + b"\x00"
    with pytest.raises(ModelDownloadError, match="SHA-256"):
        pull(unpinned, tmp_path, FIRST_USE)


def test_a_listed_crc32_finds_damage_on_first_use(site, unpinned, data, tmp_path):
    site.files["/a/model.onnx"] = data
    site.files["/a/model.hash"] = b"00000000"
    with pytest.raises(ModelDownloadError, match="CRC32"):
        pull(unpinned, tmp_path, FIRST_USE)
    site.files["/a/model.hash"] = f"{zlib.crc32(data):08x}\n".encode()
    assert pull(unpinned, tmp_path, FIRST_USE)[0] is not None


def test_a_checksum_that_the_operator_names_decides(site, unpinned, data, tmp_path):
    site.files["/a/model.onnx"] = data
    with pytest.raises(ModelDownloadError, match="expected is 0000"):
        pull(unpinned, tmp_path, Trust(sha256="0" * 64))
    record, _ = pull(unpinned, tmp_path, Trust(sha256=hashlib.sha256(data).hexdigest()))
    assert record.trust == "operator"


def test_a_recorded_checksum_cannot_be_overruled(spec, swapper_data, tmp_path):
    file = tmp_path / "given"
    file.write_bytes(swapper_data)
    with pytest.raises(ModelMismatchError, match="MODELS_EXTRA"):
        take(spec, file, tmp_path / "models", Trust(sha256="0" * 64))


# --- files given by hand


def test_a_file_given_by_hand_is_checked_the_same_way(spec, swapper_data, tmp_path):
    file, folder = tmp_path / "given", tmp_path / "models"
    file.write_bytes(swapper_data[:-1] + b"x")
    with pytest.raises(ModelMismatchError, match="SHA-256"):
        take(spec, file, folder)
    assert visible(folder) == set()
    file.write_bytes(swapper_data)
    assert take(spec, file, folder).source == str(file)
    assert file_state(spec, model_dir=folder) == "ok"


def test_a_file_that_is_not_there_is_missing(spec, tmp_path):
    with pytest.raises(ModelMissingError):
        take(spec, tmp_path / "nothing", tmp_path)


def test_a_file_of_another_contract_is_refused_with_the_reason(unpinned, swapper_data, tmp_path):
    file = tmp_path / "given"
    file.write_bytes(swapper_data)
    with pytest.raises(ModelMismatchError, match=r"inputs \['source', 'target'\], described"):
        take(unpinned, file, tmp_path / "models", FIRST_USE)
    assert visible(tmp_path / "models") == set()


def test_a_swapper_without_its_matrix_is_refused(tmp_path):
    registry = load_registry()
    spec = dataclasses.replace(registry.spec("inswapper_128"), sha256="", contract="latent_swapper")
    plain = dataclasses.replace(spec, params={**spec.params, "latent": "unit"})
    file = tmp_path / "given"
    file.write_bytes(build_stand_in(plain))
    with pytest.raises(ModelMismatchError, match=r"last initialiser has shape"):
        take(spec, file, tmp_path / "models", FIRST_USE)


def test_the_matrix_is_stored_once_and_a_changed_one_is_refused(spec, swapper_data, tmp_path):
    file, folder = tmp_path / "given", tmp_path / "models"
    file.write_bytes(swapper_data)
    take(spec, file, folder)
    emap = read_emap(spec, model_dir=folder)
    assert emap.shape == (512, 512)
    assert emap[0, 1] == 1
    assert emap.sum() == 512
    stored = emap_path(spec, model_dir=folder)
    changed = bytearray(stored.read_bytes())
    changed[-1] ^= 1
    stored.write_bytes(changed)
    with pytest.raises(ModelMismatchError, match="changed since the import"):
        read_emap(spec, model_dir=folder)
    stored.unlink()
    with pytest.raises(ModelMissingError, match="models import inswapper_128"):
        read_emap(spec, model_dir=folder)


def test_damaged_records_are_an_error_not_an_empty_folder(unpinned, tmp_path):
    (tmp_path / "imported.toml").write_text("[arcface")
    (tmp_path / unpinned.file).write_bytes(b"x")
    with pytest.raises(ModelMismatchError, match="damaged"):
        file_state(unpinned, model_dir=tmp_path)
