"""What a request says about a swap, in the engine's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from inference.pipeline.errors import InvalidOptionsError
from inference.types import SwapOptions

if TYPE_CHECKING:
    from inference.pipeline.spec import SwapSpec

# What a request may say in the engine's own words; the rest is the deployment's to decide.
_SPEC_PARTS: Final = frozenset(
    [
        "version",
        "detector",
        "landmarker",
        "selector",
        "swapper",
        "masks",
        "face_enhancer",
        "frame_enhancer",
        "colour",
        "tracker",
    ]
)


def to_spec(options: SwapOptions) -> SwapSpec:
    """The engine's spec of a job.

    Raises:
        InvalidOptionsError: an unknown name, a wrong value, or something is said twice.
    """
    # Loads OpenCV and ONNX Runtime: only where a spec is needed.
    from inference.pipeline.spec import SwapSpec  # noqa: PLC0415

    stored = dict(options.spec or {})
    if unknown := sorted(set(stored) - _SPEC_PARTS):
        raise InvalidOptionsError(unknown[0], "is not known")
    selector = stored.get("selector", {})
    if isinstance(selector, Mapping):
        mode = selector.get("mode", options.target_faces.value)
        if mode != options.target_faces.value:
            raise InvalidOptionsError("selector.mode", "is chosen by target_faces")
        chosen = chosen_selector(options)
        if twice := sorted(set(chosen) & set(selector)):
            raise InvalidOptionsError(f"selector.{twice[0]}", "is said twice")
        stored["selector"] = {**selector, **chosen, "mode": mode}
    return SwapSpec.from_json({**stored, "allow_race": settings.FACES_ALLOW_RACE})


def chosen_selector(options: SwapOptions) -> dict[str, Any]:
    """What the named options say, in the engine's words."""
    named = {
        "distance_max": options.distance,
        "order": options.order,
        "filter": options.filter,
    }
    return {name: value for name, value in named.items() if value is not None}
