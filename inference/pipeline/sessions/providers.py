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
        ValueError: neither a short name nor the form of a full one.
    """
    full = NAMES.get(name.lower(), name)
    if not full.endswith("ExecutionProvider"):
        known = ", ".join(NAMES)
        raise ValueError(f"'{name}' is no execution provider; known are {known}")
    return Provider(name=full, options=dict(options or {}))


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
