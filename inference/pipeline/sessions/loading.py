"""Opens one model file, checks it against its description and runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.pipeline.errors import ModelMismatchError
from inference.pipeline.registry.spec import ANY_DTYPE, ANY_SIZE, ModelSpec, TensorSpec
from inference.pipeline.sessions.providers import (
    CPU,
    Provider,
    check_available,
    check_started,
)
from inference.pipeline.types import Floats, Session

Arrays = tuple[NDArray[Any], ...]

_LOG_ERRORS_ONLY: Final = 3
# Side of a picture where neither the file nor the description fixes one.
_WARM_UP_SIDE_PX: Final = 320
_NUMPY_TYPES: Final[Mapping[str, type[np.generic]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int64)": np.int64,
}


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How sessions are opened.

    Attributes:
        providers: execution providers, best first; each must really start.
        threads: threads of one session; with small networks 1 is best, run several frames instead.
        prefer_fp16: take the half-precision file of a model where it has one and runs on a GPU.
    """

    providers: tuple[Provider, ...] = (Provider(CPU),)
    threads: int = 1
    prefer_fp16: bool = False


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class LoadedModel:
    """A model ready to run; threads may share it.

    Attributes:
        spec: its description.
        session: the open session.
        providers: where it really runs, best first.
        emap: (512, 512) float32 that source vectors are multiplied by, where the contract has one.
    """

    spec: ModelSpec
    session: Session
    providers: tuple[str, ...]
    emap: Floats | None = None

    def run(self, feed: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run once.

        Args:
            feed: one array per input, of the shape and type that the description says.

        Returns:
            The outputs in the order of the description.
        """
        names = [tensor.name for tensor in self.spec.outputs]
        by_name = names if self.spec.outputs_by == "name" else None
        return tuple(self.session.run(by_name, feed))

    @property
    def takes_batches(self) -> bool:
        """Whether the first axis of every input is free, so that one run takes several items."""
        return all(not isinstance(arg.shape[0], int) for arg in self.session.get_inputs())


def open_session(
    *,
    spec: ModelSpec,
    path: Path,
    options: SessionOptions,
    emap: Floats | None = None,
) -> LoadedModel:
    """Open one model file and make sure that it is what ``spec`` says and runs where asked.

    Raises:
        ModelMismatchError: other tensors than described, not an ONNX file, or a requested
            accelerator that the runtime does not have or silently left out.
    """
    check_available(options.providers)
    native = ort.SessionOptions()
    native.intra_op_num_threads = options.threads
    native.inter_op_num_threads = 1
    native.log_severity_level = _LOG_ERRORS_ONLY
    # Idle threads must not spin: the workers share the cores with decoding and encoding.
    native.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [(provider.name, dict(provider.options)) for provider in options.providers]
    try:
        session = ort.InferenceSession(str(path), native, providers=providers)
    except Exception as error:
        raise ModelMismatchError(f"{path.name} cannot be loaded: {error}") from error
    actual = tuple(session.get_providers())
    check_started(spec.key, requested=options.providers, actual=actual)
    _check_tensors(spec, side="input", expected=spec.inputs, actual=session.get_inputs())
    _check_tensors(spec, side="output", expected=spec.outputs, actual=session.get_outputs())
    return LoadedModel(spec=spec, session=session, providers=actual, emap=emap)


def warm_up(model: LoadedModel) -> None:
    """Run once so that the first real job does not pay for allocations."""
    model.run(noise_feed(model))


def noise_feed(model: LoadedModel) -> dict[str, NDArray[Any]]:
    """Inputs of fixed noise: points that all coincide have no warp to fit.

    Sizes that the file leaves free become 1 for the batch, else the model's crop size or 320 px.
    """
    noise = np.random.default_rng(0)
    side = model.spec.crop_size_px or _WARM_UP_SIDE_PX
    feed = {}
    for arg in model.session.get_inputs():
        shape = [
            size if isinstance(size, int) else (side if axis else 1)
            for axis, size in enumerate(arg.shape)
        ]
        feed[arg.name] = noise.random(shape, dtype=np.float32).astype(_NUMPY_TYPES[arg.type])
    return feed


def _check_tensors(
    spec: ModelSpec, *, side: str, expected: Sequence[TensorSpec], actual: Sequence[ort.NodeArg]
) -> None:
    if side == "output" and spec.outputs_by == "position":
        if len(actual) < len(expected):
            raise ModelMismatchError(
                f"'{spec.key}' has {len(actual)} outputs, described are {len(expected)}"
            )
        pairs = list(zip(expected, actual[: len(expected)], strict=True))
    else:
        found = {arg.name: arg for arg in actual}
        wanted = {tensor.name for tensor in expected}
        if set(found) != wanted:
            raise ModelMismatchError(
                f"'{spec.key}' has the {side}s {sorted(found)}, described are {sorted(wanted)}"
            )
        pairs = [(tensor, found[tensor.name]) for tensor in expected]
    for tensor, arg in pairs:
        if not _fits(tensor, arg):
            shape = "any shape" if tensor.shape is None else list(tensor.shape)
            raise ModelMismatchError(
                f"{side} '{tensor.name}' of '{spec.key}' is {arg.type} {arg.shape}, "
                f"described is {tensor.dtype} {shape}"
            )


def _fits(tensor: TensorSpec, arg: ort.NodeArg) -> bool:
    if tensor.dtype not in (ANY_DTYPE, arg.type):
        return False
    if tensor.shape is None:
        return True
    if len(tensor.shape) != len(arg.shape):
        return False
    return all(map(_size_fits, tensor.shape, arg.shape))


def _size_fits(described: int | str, actual: int | str | None) -> bool:
    """Fixed sizes must be equal; a free dimension must be free in the file too."""
    if described == ANY_SIZE:
        return True
    if isinstance(described, int):
        return described == actual
    return not isinstance(actual, int)
