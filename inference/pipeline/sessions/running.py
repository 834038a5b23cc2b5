"""How one session is run: plainly on the CPU, with bound memory on a device of its own."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Feed = Mapping[str, NDArray[Any]]
Arrays = tuple[NDArray[Any], ...]

#: ONNX Runtime's tensor types that models use, as numpy knows them.
NUMPY_TYPES: Final[Mapping[str, type[np.generic]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
_SHRINK: Final = "memory.enable_memory_arena_shrinkage"


class Runner(Protocol):
    """Runs a session; threads may share it."""

    def run(self, names: Sequence[str], feed: Feed, *, shrink: bool) -> Arrays:
        """The named outputs; with ``shrink``, working memory is given back afterwards."""


class PlainRunner:
    """For tensors in ordinary memory: nothing is gained by binding it."""

    def __init__(self, session: ort.InferenceSession, *, has_arena: bool) -> None:
        self._session = session
        self._has_arena = has_arena

    def run(self, names: Sequence[str], feed: Feed, *, shrink: bool) -> Arrays:
        """See ``Runner``."""
        options = _run_options("cpu:0") if shrink and self._has_arena else None
        return tuple(self._session.run(list(names), feed, options))


class BoundRunner:
    """For a device with memory of its own: outputs of fixed shape keep their place there.

    Each thread has its own binding, because a binding holds the tensors of one run.
    """

    def __init__(self, session: ort.InferenceSession, *, device_type: str, device_id: int) -> None:
        self._session = session
        self._device = (device_type, device_id)
        self._arena = "cpu:0" if device_type == "cpu" else f"gpu:{device_id};cpu:0"
        self._outputs = {arg.name: arg for arg in session.get_outputs()}
        self._local = threading.local()

    def run(self, names: Sequence[str], feed: Feed, *, shrink: bool) -> Arrays:
        """See ``Runner``."""
        binding = self._binding(tuple(names))
        for name, array in feed.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        try:
            self._session.run_with_iobinding(binding, _run_options(self._arena) if shrink else None)
            # Copied: the place on the device is written again by this thread's next run.
            return tuple(np.array(value.numpy()) for value in binding.get_outputs())
        finally:
            # The binding would keep the caller's arrays alive until the next run.
            binding.clear_binding_inputs()

    def _binding(self, names: tuple[str, ...]) -> Any:
        bindings = self._local.__dict__.setdefault("bindings", {})
        if names not in bindings:
            binding = self._session.io_binding()
            for name in names:
                self._bind_output(binding, name)
            bindings[names] = binding
        return bindings[names]

    def _bind_output(self, binding: Any, name: str) -> None:
        arg = self._outputs[name]
        if all(isinstance(size, int) for size in arg.shape):
            place = ort.OrtValue.ortvalue_from_shape_and_type(
                arg.shape, NUMPY_TYPES[arg.type], *self._device
            )
            binding.bind_ortvalue_output(name, place)
        else:
            binding.bind_output(name, *self._device)


def _run_options(arenas: str) -> ort.RunOptions:
    options = ort.RunOptions()
    options.add_run_config_entry(_SHRINK, arenas)
    return options
