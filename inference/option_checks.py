"""Refuses engine options with which no job could end well, before anything is promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings

from inference import runtime
from inference.models import MediaAsset
from inference.pipeline.errors import InvalidOptionsError, ModelNotAllowedError
from inference.pipeline.image_io import RESULT_SIDE_MAX_PX
from inference.pipeline.registry.files import first_missing
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import check_licence
from inference.specs import chosen_selector, to_spec
from inference.types import SwapOptions

if TYPE_CHECKING:
    from inference.pipeline.registry.spec import Registry
    from inference.pipeline.spec import SwapSpec

# Guesses what a filter asks for.
_CLASSIFIER: Final = "fairface"


@dataclass(frozen=True, slots=True)
class MissingModel:
    """A model that an option needs and that this deployment does not have.

    Attributes:
        param: the option, as a path such as ``swapper.model``.
        key: the model to install.
    """

    param: str
    key: str


def check_options(options: SwapOptions, *, target: MediaAsset) -> MissingModel | None:
    """Look at the engine's options and at the models that they name.

    Args:
        options: what is asked for.
        target: a picture or a video; one whose size is not known yet is not measured.

    Returns:
        The first model that is not installed; None: nothing is missing.

    Raises:
        InvalidOptionsError: an unknown name, a wrong value, or a model that is not offered here.
        ResultTooLargeError: frames would be enlarged beyond what a result may have.
    """
    if options.spec is None and not chosen_selector(options):
        # The usual case needs none of what is imported below.
        return None
    spec, config = to_spec(options), runtime.engine_config()
    registry = load_registry(extra=config.extra_models)
    missing = None
    for param, key in _named(spec):
        model = registry.models.get(key)
        if model is None:
            raise InvalidOptionsError(param, f"there is no model '{key}'")
        try:
            check_licence(registry=registry, spec=model, policy=config.policy)
        except ModelNotAllowedError as error:
            raise InvalidOptionsError(param, str(error)) from error
        if missing is None:
            lacking = first_missing(registry=registry, spec=model, model_dir=config.model_dir)
            missing = None if lacking is None else MissingModel(param=param, key=lacking.key)
    _check_size(spec, registry, target)
    return missing


def _named(spec: SwapSpec) -> Iterator[tuple[str, str]]:
    """Option and key of every model that a job would open besides those it always opens."""
    yield from (("detector.models", key) for key in spec.detector.models)
    yield from (("landmarker.models", key) for key in spec.landmarker.models)
    if spec.swapper.model != runtime.BUILT_IN_SWAPPER:
        yield "swapper.model", spec.swapper.model
    if not spec.selector.filter.is_empty and spec.selector.mode != "mapping":
        yield "selector.filter", _CLASSIFIER
    if "occlusion" in spec.masks.kinds:
        yield from (("masks.occluders", key) for key in spec.masks.occluders)
    if "region" in spec.masks.kinds:
        yield "masks.parser", spec.masks.parser
    if spec.face_enhancer is not None:
        yield "face_enhancer.model", spec.face_enhancer.model
    if spec.frame_enhancer is not None:
        yield "frame_enhancer.model", spec.frame_enhancer.model


def _check_size(spec: SwapSpec, registry: Registry, target: MediaAsset) -> None:
    if spec.frame_enhancer is None or not target.width_px:
        return
    # Loads OpenCV and ONNX Runtime.
    from inference.pipeline.enhancers.frame import check_result_size  # noqa: PLC0415

    limits = runtime.video_limits()
    is_video = target.kind == MediaAsset.Kind.VIDEO
    check_result_size(
        registry,
        spec.frame_enhancer,
        size_px=(target.width_px, target.height_px),
        pixels_max=limits.pixels_max if is_video else settings.IMAGE_PIXELS_MAX,
        side_max_px=limits.side_max_px if is_video else RESULT_SIDE_MAX_PX,
    )
