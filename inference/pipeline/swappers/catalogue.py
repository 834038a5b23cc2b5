"""Opens the swapper that the options name, whatever kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.swappers import mesh
from inference.pipeline.swappers.base import Swapper
from inference.pipeline.swappers.image import ImageSwapper
from inference.pipeline.swappers.latent import NEUTRAL_WEIGHT, LatentSwapper

#: The built-in swapper, which chooses between its sizes by itself.
BUILT_IN: Final = "mesh_swapper"
_LATENT: Final = frozenset({"inswapper", "hyperswap", "latent_swapper"})


@dataclass(frozen=True, slots=True)
class SwapperOptions:
    """How to swap.

    Attributes:
        model: key of the swapper; ``mesh_swapper`` is the built-in one.
        weight: 0..1; 0.5 takes the source as it is, less mixes the target's identity in, more
            pushes away from it. Only for swappers that take a vector.
        pixel_boost_px: side of the crop for more detail; None: the model's own.
    """

    model: str = BUILT_IN
    weight: float = NEUTRAL_WEIGHT
    pixel_boost_px: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise InvalidOptionsError("swapper.weight", "must be from 0 to 1")


def open_swapper(pool: SessionPool, options: SwapperOptions) -> Swapper:
    """The swapper of the options, its sessions open.

    Raises:
        InvalidOptionsError: no swapper of this name, or an option that it does not offer.
        PipelineError: a model is missing, altered or not allowed.
    """
    if options.model == BUILT_IN or options.model in mesh.KEYS:
        _refuse_vector_options(options)
        if options.pixel_boost_px is not None:
            raise InvalidOptionsError(
                "swapper.pixel_boost_px", f"'{options.model}' chooses the size by itself"
            )
        return mesh.MeshSwapper(pool)
    spec = pool.registry.models.get(options.model)
    if spec is None or spec.task != "swapper":
        names = ", ".join([BUILT_IN, *(model.key for model in pool.registry.by_task("swapper"))])
        raise InvalidOptionsError("swapper.model", f"'{options.model}' is none of: {names}")
    if spec.contract in _LATENT:
        return LatentSwapper(
            pool,
            options.model,
            weight=options.weight,
            pixel_boost_px=options.pixel_boost_px,
        )
    _refuse_vector_options(options)
    return ImageSwapper(pool, options.model, pixel_boost_px=options.pixel_boost_px)


def _refuse_vector_options(options: SwapperOptions) -> None:
    if options.weight != NEUTRAL_WEIGHT:
        raise InvalidOptionsError("swapper.weight", f"'{options.model}' takes no weight")
