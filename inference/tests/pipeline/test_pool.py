"""The session pool, on stand-ins and on the built-in models."""

from __future__ import annotations

import dataclasses
import gc
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.stand_ins.build import install_stand_ins
from benchmarks.stand_ins.pixels import StandInOptions
from inference.pipeline.errors import (
    ModelMismatchError,
    ModelMissingError,
    ModelNotAllowedError,
)
from inference.pipeline.registry import files
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.registry.spec import Registry
from inference.pipeline.sessions import pool as pool_module
from inference.pipeline.sessions.loading import SessionOptions, open_session
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.sessions.running import BoundRunner

KEYS = ("crossface_ghost", "crossface_simswap", "crossface_hififace")
VECTOR = {"input": np.ones((1, 512), np.float32)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> tuple[Registry, Path]:
    """Three equally large converters, one of them a stand-in for a swapper with a matrix."""
    folder = tmp_path_factory.mktemp("stand_ins")
    keys = (*KEYS, "inswapper_128", "inswapper_128_fp16", "arcface_w600k_r50")
    return install_stand_ins(registry=load_registry(), keys=keys, model_dir=folder), folder


@pytest.fixture
def folder(installed, tmp_path) -> Path:
    """A private copy that a test may damage."""
    return Path(shutil.copytree(installed[1], tmp_path / "models"))


@pytest.fixture
def open_pool(installed, folder) -> Iterator[Callable[..., SessionPool]]:
    opened: list[SessionPool] = []

    def make(**changes: object) -> SessionPool:
        arguments = {
            "registry": installed[0],
            "model_dir": folder,
            "policy": LicencePolicy(),
            "options": SessionOptions(),
            **changes,
        }
        opened.append(SessionPool(**arguments))
        return opened[-1]

    yield make
    for pool in opened:
        pool.close()


def open_keys(pool: SessionPool) -> list[str]:
    return [model.key for model in pool.report()]


@pytest.fixture
def openings(monkeypatch) -> list[str]:
    """Keys of the sessions that were really opened, slowly."""
    seen: list[str] = []

    def watched(**arguments):
        seen.append(arguments["spec"].key)
        time.sleep(0.05)
        return open_session(**arguments)

    monkeypatch.setattr(pool_module, "open_session", watched)
    return seen


def test_many_threads_open_a_model_once(open_pool, openings):
    pool, got = open_pool(), []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        got.append(pool.get(KEYS[0]))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert openings == [KEYS[0]]
    assert len({id(model) for model in got}) == 1
    assert len(got) == 8


def test_models_open_at_the_same_time_without_waiting_for_each_other(open_pool, monkeypatch):
    pool = open_pool()
    both_inside = threading.Barrier(2, timeout=20)

    def meeting(**arguments):
        both_inside.wait()
        return open_session(**arguments)

    monkeypatch.setattr(pool_module, "open_session", meeting)
    threads = [threading.Thread(target=pool.get, args=(key,)) for key in KEYS[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(open_keys(pool)) == sorted(KEYS[:2])


def test_a_failed_opening_reaches_all_who_wait_and_is_tried_again(open_pool, folder, installed):
    pool, errors = open_pool(), []
    path = folder / installed[0].spec(KEYS[0]).file
    kept = path.read_bytes()
    path.unlink()

    def ask() -> None:
        try:
            pool.get(KEYS[0])
        except ModelMissingError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(errors) == 4
    path.write_bytes(kept)
    assert pool.get(KEYS[0]).spec.key == KEYS[0]


def test_a_file_is_read_in_full_once_per_pool(open_pool, folder, installed, monkeypatch):
    read: list[Path] = []
    real = files.sha256_of

    def watched(path):
        read.append(path)
        return real(path)

    monkeypatch.setattr(files, "sha256_of", watched)
    # Room for one model at a time, so that each is opened twice.
    pool = open_pool(memory_budget_bytes=1)
    for key in (*KEYS[:2], *KEYS[:2]):
        pool.get(key)
    assert [path.name for path in read] == [f"{key}.onnx" for key in KEYS[:2]]


def test_a_file_that_changed_is_read_again_and_refused(open_pool, folder, installed):
    pool = open_pool(memory_budget_bytes=1)
    pool.get(KEYS[0])
    pool.get(KEYS[1])
    path = folder / installed[0].spec(KEYS[0]).file
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelMismatchError, match="wrong checksum"):
        pool.get(KEYS[0])


def test_the_least_recently_used_model_makes_room(open_pool, folder):
    size = (folder / f"{KEYS[0]}.onnx").stat().st_size
    pool = open_pool(memory_budget_bytes=int(size * 2.5))
    for key in (KEYS[0], KEYS[1], KEYS[0], KEYS[2]):
        pool.get(key)
    assert open_keys(pool) == [KEYS[0], KEYS[2]]


def test_a_model_in_use_is_never_closed(open_pool, openings):
    pool = open_pool(memory_budget_bytes=1)
    held = [pool.get(KEYS[0]), pool.get(KEYS[1])]
    assert [(model.key, model.is_in_use) for model in pool.report()] == [
        (KEYS[0], True),
        (KEYS[1], True),
    ]
    pool.get(KEYS[2])
    assert open_keys(pool) == list(KEYS)
    assert held[0].run(VECTOR)[0].shape == (1, 512)
    held.clear()
    gc.collect()
    assert not any(model.is_in_use for model in pool.report())
    pool.get(KEYS[0])
    assert open_keys(pool) == [KEYS[0]]
    # It had been open all the while.
    assert openings == [*KEYS]


def test_without_a_budget_everything_stays(open_pool):
    pool = open_pool()
    for key in KEYS:
        pool.get(key)
    assert open_keys(pool) == list(KEYS)


def test_pressure_from_many_threads_gives_right_results(open_pool):
    pool, wrong = open_pool(memory_budget_bytes=1), []
    vectors = np.random.default_rng(1).standard_normal((6, 1, 512)).astype(np.float32)
    expected = {
        key: [pool.get(key).run({"input": vector})[0] for vector in vectors] for key in KEYS
    }

    def work(seed: int) -> None:
        order = np.random.default_rng(seed)
        for _ in range(15):
            key, index = KEYS[order.integers(3)], int(order.integers(6))
            (found,) = pool.get(key).run({"input": vectors[index]})
            if not np.array_equal(found, expected[key][index]):
                wrong.append((key, index))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert wrong == []
    assert len(pool.report()) <= 4


def test_a_licence_is_checked_before_the_file(open_pool, installed, tmp_path):
    uncleared = dataclasses.replace(installed[0].spec(KEYS[0]), commercial_ok=False)
    registry = Registry(models={**installed[0].models, KEYS[0]: uncleared})
    pool = open_pool(registry=registry, model_dir=tmp_path)
    with pytest.raises(ModelNotAllowedError, match="MODELS_LICENSED"):
        pool.get(KEYS[0])


def test_a_matrix_comes_with_its_model(open_pool, folder):
    model = open_pool().get("inswapper_128")
    assert model.emap is not None
    assert model.emap.shape == (512, 512)
    assert open_pool().get(KEYS[0]).emap is None
    (folder / "inswapper_128.emap.npy").unlink()
    with pytest.raises(ModelMissingError, match="models import"):
        open_pool().get("inswapper_128")


def test_a_closed_pool_opens_nothing(open_pool):
    pool = open_pool()
    held = pool.get(KEYS[0])
    pool.close()
    assert pool.report() == ()
    with pytest.raises(RuntimeError, match="closed"):
        pool.get(KEYS[0])
    # Who still holds a model may finish.
    assert held.run(VECTOR)[0].shape == (1, 512)


def test_half_precision_is_taken_on_a_gpu_only_and_where_it_is_there(
    open_pool, folder, monkeypatch
):
    # There is no GPU here: what the pool asks for is looked at, and opened on the CPU.
    monkeypatch.setattr(SessionOptions, "uses_gpu", property(lambda self: self.prefer_fp16))
    wanted = SessionOptions(prefer_fp16=True)
    assert open_pool(options=wanted).get("inswapper_128").spec.key == "inswapper_128_fp16"
    assert open_pool(options=wanted).get(KEYS[0]).spec.key == KEYS[0]
    assert open_pool().get("inswapper_128").spec.key == "inswapper_128"
    (folder / "inswapper_128_fp16.onnx").unlink()
    assert open_pool(options=wanted).get("inswapper_128").spec.key == "inswapper_128"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux' memory figures")
def test_trimming_gives_the_memory_of_a_large_picture_back(tmp_path):
    registry = install_stand_ins(registry=load_registry(), keys=["scrfd_2.5g"], model_dir=tmp_path)
    pool = SessionPool(
        registry=registry, model_dir=tmp_path, policy=LicencePolicy(), options=SessionOptions()
    )
    model = pool.get("scrfd_2.5g")
    before = resident_bytes()
    model.run({"input": np.zeros((1, 3, 3200, 3200), np.float32)})
    gc.collect()
    grown = resident_bytes() - before
    pool.trim()
    left = resident_bytes() - before
    # The picture alone has 123 MB as float32.
    assert grown > 100e6
    assert left < grown / 2


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("batched", [True, False])
def test_bound_runs_equal_plain_ones_from_many_threads(tmp_path, batched):
    # With outputs of fixed shape (not batched) their place is used again in each run.
    registry = install_stand_ins(
        registry=load_registry(),
        keys=["hyperswap_1a_256"],
        model_dir=tmp_path,
        options=StandInOptions(batched=batched),
    )
    plain = open_session(
        spec=registry.spec("hyperswap_1a_256"),
        path=tmp_path / "hyperswap_1a_256.onnx",
        options=SessionOptions(),
    )
    runner = BoundRunner(plain.session, device_type="cpu", device_id=0)
    bound = dataclasses.replace(plain, runner=runner)
    random = np.random.default_rng(3)
    feeds = [
        {
            "source": random.standard_normal((1, 512), dtype=np.float32),
            "target": random.standard_normal((1, 3, 256, 256), dtype=np.float32),
        }
        for _ in range(4)
    ]
    expected = [plain.run(feed) for feed in feeds]
    wrong: list[int] = []

    def work() -> None:
        found = [bound.run(feed) for feed in feeds]
        for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            if not all(map(np.array_equal, ours, theirs)):
                wrong.append(index)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert wrong == []
