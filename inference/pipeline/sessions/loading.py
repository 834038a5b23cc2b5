"""Opens one model file, checks it against its description and runs it."""

from __future__ import annotations

from collections import Counter
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
    check_nodes,
    check_started,
)
from inference.pipeline.sessions.running import (
    NUMPY_TYPES,
    Arrays,
    BoundRunner,
    Feed,
    PlainRunner,
    Runner,
)
from inference.pipeline.types import Floats, Session

_LOG_ERRORS_ONLY: Final = 3
# Side of a picture where neither the file nor the description fixes one.
_WARM_UP_SIDE_PX: Final = 320


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How sessions are opened.

    Attributes:
        providers: execution providers, best first; each must really start.
        threads: threads of one session; with small networks 1 is best, run several frames instead.
        prefer_fp16: take the half-precision file of a model where it has one and runs on a GPU.
        has_cpu_arena: keep working memory between runs; without it runs are slower and smaller.
    """

    providers: tuple[Provider, ...] = (Provider(CPU),)
    threads: int = 1
    prefer_fp16: bool = False
    has_cpu_arena: bool = True

    @property
    def uses_gpu(self) -> bool:
        """Whether the best provider has a memory of its own."""
        return bool(self.providers) and self.providers[0].device_type != "cpu"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class LoadedModel:
    """A model ready to run; threads may share it.

    Attributes:
        spec: its description.
        session: the open session.
        runner: runs the session.
        providers: where it really runs, best first.
        output_names: the described outputs as the file calls them, in the order of the description.
        node_counts: nodes of the optimised graph by provider; empty where only the CPU was asked
            for.
        emap: (512, 512) float32 that source vectors are multiplied by, where the contract has one.
    """

    spec: ModelSpec
    session: Session
    runner: Runner
    providers: tuple[str, ...]
    output_names: tuple[str, ...]
    node_counts: Mapping[str, int]
    emap: Floats | None = None

    def run(self, feed: Feed, *, shrink: bool = False) -> Arrays:
        """Run once.

        Args:
            feed: one array per input, of the shape and type that the description says.
            shrink: give the working memory back afterwards; for the last run of a large picture.

        Returns:
            The outputs in the order of the description.
        """
        return self.runner.run(self.output_names, feed, shrink=shrink)

    def takes_batches(self, items: Sequence[str] = (), *, scalars: Sequence[str] = ()) -> bool:
        """Whether one run takes several items: the first axis of every input of theirs is free.

        Args:
            items: inputs that hold one entry for each item; none named: all but the scalars.
            scalars: inputs of one value for all items. It has to be clear what becomes of it: its
                axis is fixed, or the same as that of the items.
        """
        names = items or tuple(
            arg.name for arg in self.session.get_inputs() if arg.name not in scalars
        )
        axes = {self.first_axis(name) for name in names}
        free = {axis for axis in axes if not isinstance(axis, int)}
        return axes == free and all(
            axis == 1 or (axis is not None and axes == {axis})
            for axis in map(self.first_axis, scalars)
        )

    def first_axis(self, name: str) -> int | str | None:
        """Size or name of an input's first axis; None: free, and without a name."""
        arg = next(arg for arg in self.session.get_inputs() if arg.name == name)
        axis: int | str | None = arg.shape[0]
        return axis


def open_session(
    *, spec: ModelSpec, path: Path, options: SessionOptions, emap: Floats | None = None
) -> LoadedModel:
    """Open one model file and make sure that it is what ``spec`` says and runs where asked.

    Raises:
        ModelMismatchError: other tensors than described, not an ONNX file, or a requested
            accelerator that the runtime does not have or silently left out.
    """
    check_available(options.providers)
    providers = [(provider.name, dict(provider.options)) for provider in options.providers]
    wants_more_than_cpu = any(provider.name != CPU for provider in options.providers)
    native = _native_options(options, records_nodes=wants_more_than_cpu)
    try:
        session = ort.InferenceSession(str(path), native, providers=providers)
    except Exception as error:
        raise ModelMismatchError(f"{path.name} cannot be loaded: {error}") from error
    actual = tuple(session.get_providers())
    check_started(spec.key, requested=options.providers, actual=actual)
    _check_tensors(spec, side="input", expected=spec.inputs, actual=session.get_inputs())
    _check_tensors(spec, side="output", expected=spec.outputs, actual=session.get_outputs())
    node_counts = _count_nodes(session) if wants_more_than_cpu else {}
    check_nodes(spec.key, requested=options.providers, node_counts=node_counts)
    return LoadedModel(
        spec=spec,
        session=session,
        runner=_runner_for(session, options),
        providers=actual,
        output_names=_output_names(spec, session),
        node_counts=node_counts,
        emap=emap,
    )


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
        feed[arg.name] = noise.random(shape, dtype=np.float32).astype(NUMPY_TYPES[arg.type])
    return feed


def _native_options(options: SessionOptions, *, records_nodes: bool) -> ort.SessionOptions:
    native = ort.SessionOptions()
    native.intra_op_num_threads = options.threads
    native.inter_op_num_threads = 1
    native.log_severity_level = _LOG_ERRORS_ONLY
    native.enable_cpu_mem_arena = options.has_cpu_arena
    # Idle threads must not spin: the workers share the cores with decoding and encoding.
    native.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if records_nodes:
        native.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return native


def _runner_for(session: ort.InferenceSession, options: SessionOptions) -> Runner:
    best = options.providers[0]
    if best.device_type == "cpu":
        return PlainRunner(session, has_arena=options.has_cpu_arena)
    return BoundRunner(session, device_type=best.device_type, device_id=best.device_id)


def _output_names(spec: ModelSpec, session: ort.InferenceSession) -> tuple[str, ...]:
    if spec.outputs_by == "name":
        return tuple(tensor.name for tensor in spec.outputs)
    return tuple(arg.name for arg in session.get_outputs()[: len(spec.outputs)])


def _count_nodes(session: ort.InferenceSession) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    return dict(counts)


def _check_tensors(
    spec: ModelSpec, *, side: str, expected: Sequence[TensorSpec], actual: Sequence[ort.NodeArg]
) -> None:
    if side == "output" and spec.outputs_by == "position":
        if len(actual) < len(expected):
            raise ModelMismatchError(
                f"'{spec.key}' has {len(actual)} outputs, described are {len(expected)}"
            )
        pairs = list(zip(expected, actual, strict=False))
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
