from __future__ import annotations

import pytest

from inference.pipeline.errors import ModelMismatchError
from inference.pipeline.sessions.providers import (
    DeviceOptions,
    check_nodes,
    provider_named,
    providers_from,
)

GPU = DeviceOptions(device_id=2, memory_max_bytes=4_000_000_000, cache_dir="/cache")


def options_of(name: str, device: DeviceOptions = GPU, **overrides: dict[str, object]):
    (provider,) = providers_from([name], device=device, overrides=overrides)
    return dict(provider.options)


def test_cuda_takes_device_and_memory_limit():
    assert options_of("cuda") == {
        "device_id": "2",
        "gpu_mem_limit": "4000000000",
        "arena_extend_strategy": "kSameAsRequested",
    }


def test_tensorrt_caches_its_engines():
    options = options_of("tensorrt")
    assert options["trt_engine_cache_enable"] == "True"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == "/cache"
    assert options["device_id"] == "2"


def test_without_limits_nothing_is_limited():
    assert options_of("rocm", DeviceOptions()) == {
        "device_id": "0",
        "arena_extend_strategy": "kSameAsRequested",
    }
    assert options_of("tensorrt", DeviceOptions()) == {"device_id": "0"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("migraphx", {"device_id": "2"}),
        ("openvino", {"cache_dir": "/cache"}),
        ("coreml", {"ModelCacheDirectory": "/cache"}),
        ("cpu", {}),
    ],
)
def test_other_providers_take_what_they_know(name, expected):
    assert options_of(name) == expected


def test_own_options_win_over_derived_ones_by_short_or_full_name():
    assert options_of("cuda", cuda={"device_id": 0})["device_id"] == "0"
    full = options_of("cuda", CUDAExecutionProvider={"gpu_mem_limit": 5})
    assert full["gpu_mem_limit"] == "5"


def test_a_provider_is_known_by_its_short_and_its_full_name():
    assert provider_named("CUDA") == provider_named("CUDAExecutionProvider")


def test_an_unknown_provider_is_refused():
    with pytest.raises(ValueError, match="known are tensorrt, cuda"):
        provider_named("directml")
    with pytest.raises(ValueError, match="'cudda' is no execution provider"):
        options_of("cpu", cudda={})


def test_a_graph_that_no_accelerator_takes_is_a_mismatch():
    requested = [provider_named("cuda"), provider_named("cpu")]
    with pytest.raises(ModelMismatchError, match="no node of 'tiny' runs on CUDA"):
        check_nodes("tiny", requested=requested, node_counts={"CPUExecutionProvider": 9})


def test_single_nodes_on_the_cpu_are_in_order():
    requested = [provider_named("tensorrt"), provider_named("cuda")]
    counts = {"CUDAExecutionProvider": 1, "CPUExecutionProvider": 9}
    check_nodes("tiny", requested=requested, node_counts=counts)
    check_nodes("tiny", requested=[provider_named("cpu")], node_counts={})
