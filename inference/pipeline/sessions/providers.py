"""Where models run: ONNX Runtime's execution providers, asked for by name and then verified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import onnxruntime as ort

from inference.pipeline.errors import ModelMismatchError

CPU: Final = "CPUExecutionProvider"
#: Short names, so that settings need not spell ONNX Runtime's own.
NAMES: Final[Mapping[str, str]] = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": CPU,
}
_NVIDIA: Final = frozenset({NAMES["cuda"], NAMES["tensorrt"]})
#: Providers whose tensors live in a memory of their own, with the device name of IO binding.
_DEVICE_TYPES: Final[Mapping[str, str]] = {
    NAMES["tensorrt"]: "cuda",
    NAMES["cuda"]: "cuda",
    NAMES["migraphx"]: "cuda",
    NAMES["rocm"]: "cuda",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """One execution provider and its options, both in ONNX Runtime's words."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def device_type(self) -> str:
        """``cuda`` (also ROCm's name in ONNX Runtime) or ``cpu``: where its tensors live."""
        return _DEVICE_TYPES.get(self.name, "cpu")

    @property
    def device_id(self) -> int:
        """Number of the device among those of its kind."""
        return int(self.options.get("device_id", "0"))


def provider_named(name: str, options: Mapping[str, str] | None = None) -> Provider:
    """A provider by its short or its full name.

    Raises:
        ValueError: an unknown name.
    """
    return Provider(name=_full_name(name), options=dict(options or {}))


def providers_from(
    names: Iterable[str], *, device: DeviceOptions, overrides: Mapping[str, Mapping[str, object]]
) -> tuple[Provider, ...]:
    """Providers with the options that follow from ``device``, and over them those by name.

    Raises:
        ValueError: an unknown name.
    """
    own = {_full_name(name): options for name, options in overrides.items()}
    providers = []
    for name in names:
        full = _full_name(name)
        given = {key: str(value) for key, value in own.get(full, {}).items()}
        providers.append(Provider(name=full, options={**device_options(full, device), **given}))
    return tuple(providers)


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What an operator says about the device; each provider takes what it knows of it.

    Attributes:
        device_id: number of the device among those of its kind.
        memory_max_bytes: most that one session may take on it; 0 leaves it to ONNX Runtime.
        cache_dir: folder for engines that are compiled once per model and device; empty for none.
    """

    device_id: int = 0
    memory_max_bytes: int = 0
    cache_dir: str = ""


def device_options(name: str, device: DeviceOptions) -> dict[str, str]:
    """Options of one provider, in ONNX Runtime's words.

    An arena that grows only by what is asked for takes less memory than one that doubles; that
    matters because several sessions share the device.
    """
    full = _full_name(name)
    options: dict[str, str] = {}
    if full in _DEVICE_TYPES:
        options["device_id"] = str(device.device_id)
    if full in (NAMES["cuda"], NAMES["rocm"]):
        options["arena_extend_strategy"] = "kSameAsRequested"
        if device.memory_max_bytes:
            options["gpu_mem_limit"] = str(device.memory_max_bytes)
    if full == NAMES["tensorrt"]:
        if device.memory_max_bytes:
            options["trt_max_workspace_size"] = str(device.memory_max_bytes)
        if device.cache_dir:
            options["trt_engine_cache_enable"] = "True"
            options["trt_engine_cache_path"] = device.cache_dir
            options["trt_timing_cache_enable"] = "True"
            options["trt_timing_cache_path"] = device.cache_dir
    if full == NAMES["openvino"] and device.cache_dir:
        options["cache_dir"] = device.cache_dir
    if full == NAMES["coreml"] and device.cache_dir:
        options["ModelCacheDirectory"] = device.cache_dir
    return options


def check_available(providers: Sequence[Provider]) -> None:
    """Make sure that this build of ONNX Runtime has every provider, and load its libraries.

    Raises:
        ModelMismatchError: none asked for, or one is not in this build.
    """
    available = ort.get_available_providers()
    names = [provider.name for provider in providers]
    absent = [name for name in names if name not in available]
    if absent or not names:
        raise ModelMismatchError(
            f"execution providers {absent or names} are not in this build of ONNX Runtime, "
            f"which has {available}"
        )
    if _NVIDIA.intersection(names):
        # CUDA and cuDNN come as pip packages, where the dynamic loader does not look by itself.
        ort.preload_dlls()


def check_started(key: str, *, requested: Iterable[Provider], actual: Sequence[str]) -> None:
    """Refuse a session that lacks a provider: the runtime falls back with a mere warning.

    Raises:
        ModelMismatchError: a requested provider did not start.
    """
    lost = [provider.name for provider in requested if provider.name not in actual]
    if lost:
        raise ModelMismatchError(f"'{key}' runs on {list(actual)}, {lost} could not start")


def check_nodes(key: str, *, requested: Iterable[Provider], node_counts: Mapping[str, int]) -> None:
    """Refuse a session whose accelerators started but got no node of the graph.

    Some nodes belong on the CPU even then: those that compute shapes. Nothing else than that shows
    in ``get_providers`` when a graph as a whole is not supported.

    Raises:
        ModelMismatchError: accelerators were asked for, and all nodes run on the CPU.
    """
    accelerators = [provider.name for provider in requested if provider.name != CPU]
    if accelerators and not any(node_counts.get(name) for name in accelerators):
        raise ModelMismatchError(
            f"no node of '{key}' runs on {' or '.join(accelerators)}: {dict(node_counts)}"
        )


def _full_name(name: str) -> str:
    full = NAMES.get(name.lower(), name)
    if full not in NAMES.values():
        raise ValueError(f"'{name}' is no execution provider; known are {', '.join(NAMES)}")
    return full
