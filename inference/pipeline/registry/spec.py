"""A model as models.toml describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from inference.pipeline.errors import ModelMissingError

#: A dimension that the description leaves open: the file may fix it or leave it free.
ANY_SIZE = "?"
#: An element type that the description leaves open.
ANY_DTYPE = "any"

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, ONNX element type and shape of one input or output.

    Attributes:
        name: as in the file; where outputs go by position, a label of ours.
        dtype: ONNX Runtime's name such as ``tensor(float)``, or ``any``.
        shape: a number is fixed, ``?`` is not described, any other word must be a free dimension of
            the file (``N`` is the batch). ``None``: not even the number of dimensions is described.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """The file inside an installed Python distribution that a model is built from.

    ``sha256`` and ``path`` are empty for a model that carries no learned weights.
    """

    distribution: str
    version: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model file as models.toml describes it.

    Attributes:
        task: what it does; models of one task can replace each other.
        contract: name of the adapter that knows its inputs and outputs.
        params: values that only this contract has; its adapter reads them.
        requires: keys of other models without which this one is of no use.
        fp16_key: key of the same model in half precision, or empty.
        size_bytes: size of the file; 0 while nobody has pinned it.
        sha256: of the file; empty means pinned by the operator at the first import.
        sources: addresses of the file, tried in this order; empty for a model that is built here.
        has_crc32: whether each source offers the CRC32 beside the file, under the ending ``.hash``.
        origin: what a built-in model is built from; None for all others.
        crop_size_px: side of the square image it takes; 0 means any size.
        colour: channel order of its image input: ``RGB``, ``BGR`` or ``none``.
        scale: pixel values are divided by this before mean and std.
        template: name of the alignment template of its crop, ``none`` without alignment.
        outputs_by: ``name``, or ``position`` where only the order of the outputs is known.
    """

    key: str
    file: str
    task: str
    contract: str
    params: Params = field(hash=False)
    requires: tuple[str, ...]
    fp16_key: str
    size_bytes: int
    sha256: str
    sources: tuple[str, ...]
    has_crc32: bool
    vendor: str
    licence: str
    licence_source: str
    commercial_ok: bool
    origin: ModelOrigin | None
    crop_size_px: int
    colour: str
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    template: str
    outputs_by: Literal["name", "position"]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def has_emap(self) -> bool:
        """Whether source vectors go through a matrix that the file carries beside its graph."""
        return self.params.get("latent") == "emap"


@dataclass(frozen=True, slots=True)
class Registry:
    """All described models by key."""

    models: Mapping[str, ModelSpec] = field(hash=False)

    def spec(self, key: str) -> ModelSpec:
        """The description of one model.

        Raises:
            ModelMissingError: no registry file describes it.
        """
        try:
            return self.models[key]
        except KeyError:
            raise ModelMissingError(f"models.toml does not describe '{key}'") from None

    def by_task(self, task: str) -> tuple[ModelSpec, ...]:
        """All models of one task, in the order of models.toml."""
        return tuple(spec for spec in self.models.values() if spec.task == task)

    def by_contract(self, contract: str) -> tuple[ModelSpec, ...]:
        """All models of one contract, in the order of models.toml."""
        return tuple(spec for spec in self.models.values() if spec.contract == contract)

    def builtin(self) -> tuple[ModelSpec, ...]:
        """The models that are built on this machine, without any download."""
        return tuple(spec for spec in self.models.values() if spec.origin is not None)
