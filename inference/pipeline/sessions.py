"""ONNX Runtime sessions: opened once, checked against their description, safe to share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime as ort

from inference.pipeline.errors import ModelMismatchError
from inference.pipeline.registry import ModelSpec, TensorSpec
from inference.pipeline.types import Session

_CUDA_PROVIDERS: Final = frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider"})
_LOG_ERRORS_ONLY: Final = 3
_NUMPY_TYPES: Final = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model's description and its session; ``session.run`` may be called from many threads."""

    spec: ModelSpec
    session: Session


def open_session(
    *, spec: ModelSpec, path: Path, providers: Sequence[str], threads: int
) -> LoadedModel:
    """Open one model file and make sure that it is what ``spec`` says and runs where asked.

    Raises:
        ModelMismatchError: other tensors than described, not an ONNX file, or a requested
            accelerator that the runtime does not have or silently left out.
    """
    _check_available(providers)
    if _CUDA_PROVIDERS.intersection(providers):
        # CUDA and cuDNN come as pip packages, where the dynamic loader does not look by itself.
        ort.preload_dlls()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_ERRORS_ONLY
    # Idle threads must not spin: the workers share the cores with decoding and encoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:
        raise ModelMismatchError(f"{path.name} cannot be loaded: {error}") from error
    _check_providers(spec, requested=providers, actual=session.get_providers())
    _check_tensors(spec, side="input", expected=spec.inputs, actual=session.get_inputs())
    _check_tensors(spec, side="output", expected=spec.outputs, actual=session.get_outputs())
    return LoadedModel(spec=spec, session=session)


def warm_up(model: LoadedModel) -> None:
    """Run once so that the first real job does not pay for allocations.

    The inputs are fixed noise: points that all coincide have no warp to fit. Free dimensions become
    1 for the batch ``N`` and 320 px for a picture's side.
    """
    noise = np.random.default_rng(0)
    feed = {}
    for tensor in model.spec.inputs:
        values = noise.random([_concrete(size) for size in tensor.shape], dtype=np.float32)
        feed[tensor.name] = values.astype(_NUMPY_TYPES[tensor.dtype])
    model.session.run([tensor.name for tensor in model.spec.outputs], feed)


def _concrete(size: int | str) -> int:
    if isinstance(size, int):
        return size
    return 1 if size == "N" else 320


def _check_available(providers: Sequence[str]) -> None:
    available = ort.get_available_providers()
    absent = [name for name in providers if name not in available]
    if absent or not providers:
        raise ModelMismatchError(
            f"execution providers {absent or list(providers)} are not in this build of ONNX "
            f"Runtime, which has {available}"
        )


def _check_providers(spec: ModelSpec, *, requested: Sequence[str], actual: Sequence[str]) -> None:
    # The runtime falls back to the CPU with a mere warning when a driver is missing.
    lost = [name for name in requested if name not in actual]
    if lost:
        raise ModelMismatchError(f"'{spec.key}' runs on {list(actual)}, {lost} could not start")


def _check_tensors(
    spec: ModelSpec, *, side: str, expected: Sequence[TensorSpec], actual: Sequence[ort.NodeArg]
) -> None:
    found = {arg.name: (arg.type, arg.shape) for arg in actual}
    wanted = {tensor.name: tensor for tensor in expected}
    if set(found) != set(wanted):
        raise ModelMismatchError(
            f"'{spec.key}' has the {side}s {sorted(found)}, described are {sorted(wanted)}"
        )
    for name, tensor in wanted.items():
        dtype, shape = found[name]
        if dtype != tensor.dtype or not _shape_fits(tensor.shape, shape):
            raise ModelMismatchError(
                f"{side} '{name}' of '{spec.key}' is {dtype} {shape}, "
                f"described is {tensor.dtype} {list(tensor.shape)}"
            )


def _shape_fits(expected: Sequence[int | str], actual: Sequence[int | str | None]) -> bool:
    """Fixed sizes must be equal; a free dimension must be free in the file too."""
    if len(expected) != len(actual):
        return False
    return all(
        want == have if isinstance(want, int) else not isinstance(have, int)
        for want, have in zip(expected, actual, strict=True)
    )
