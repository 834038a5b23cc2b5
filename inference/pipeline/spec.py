"""Everything a job says about how to swap, as one immutable value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from inference.pipeline.analysis.analyser import LandmarkerOptions
from inference.pipeline.analysis.detection import DetectorOptions
from inference.pipeline.enhancers.face import FaceEnhancerOptions
from inference.pipeline.enhancers.frame import FrameEnhancerOptions
from inference.pipeline.errors import InvalidOptionsError
from inference.pipeline.masks.combine import MaskOptions
from inference.pipeline.paste.colour import ColourOptions
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.swappers.catalogue import SwapperOptions
from inference.pipeline.tracking.options import TrackerOptions

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SwapSpec:
    """How to swap; the defaults are the built-in models.

    Attributes:
        detector: how to look for faces.
        landmarker: how to find landmarks.
        selector: which faces are meant.
        swapper: how to swap.
        masks: where to paint.
        face_enhancer: what works on each face after its swap; None: nothing does.
        frame_enhancer: what enlarges each frame after its swaps; None: nothing does.
        colour: how far a swapped face takes on the colours of its target.
        tracker: how faces are followed through a video.
        allow_race: whether a filter may ask for the guessed race.
    """

    detector: DetectorOptions = field(default_factory=DetectorOptions)
    landmarker: LandmarkerOptions = field(default_factory=LandmarkerOptions)
    selector: SelectorOptions = field(default_factory=SelectorOptions)
    swapper: SwapperOptions = field(default_factory=SwapperOptions)
    masks: MaskOptions = field(default_factory=MaskOptions)
    face_enhancer: FaceEnhancerOptions | None = None
    frame_enhancer: FrameEnhancerOptions | None = None
    colour: ColourOptions = field(default_factory=ColourOptions)
    tracker: TrackerOptions = field(default_factory=TrackerOptions)
    allow_race: bool = False

    def __post_init__(self) -> None:
        if self.selector.filter.race is not None and not self.allow_race:
            raise InvalidOptionsError("selector.filter.race", "is not allowed here")

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain values that ``from_json`` reads again."""
        return {"version": VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> SwapSpec:
        """Read a mapping; what it leaves out keeps its default.

        Raises:
            InvalidOptionsError: an unknown name, a value of the wrong type or out of range; its
                ``param`` is the path to it.
        """
        values = dict(stored)
        version = values.pop("version", VERSION)
        if version != VERSION:
            raise InvalidOptionsError("version", f"must be {VERSION}")
        spec = _read(cls, values, path="")
        assert isinstance(spec, cls), "the reader returns what it was asked for"
        return spec


def _read(kind: type, values: object, *, path: str) -> object:
    if not isinstance(values, Mapping):
        raise InvalidOptionsError(path, "must be an object")
    hints = get_type_hints(kind)
    known = {}
    for name, value in values.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in hints:
            raise InvalidOptionsError(where, "is not known")
        known[name] = _convert(hints[name], value, path=where)
    return kind(**known)


def _convert(hint: Any, value: object, *, path: str) -> object:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _convert(hint, value, path=path)
    if origin is Literal:
        if value not in arguments:
            raise InvalidOptionsError(path, f"must be one of: {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, path=path)
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type), "options are classes"
        return _read(hint, value, path=path)
    return _convert_scalar(hint, value, path=path)


def _convert_tuple(arguments: tuple[Any, ...], value: object, *, path: str) -> tuple[object, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidOptionsError(path, "must be a list")
    is_open = len(arguments) == 2 and arguments[1] is Ellipsis  # noqa: PLR2004 - tuple[X, ...]
    if not is_open and len(value) != len(arguments):
        raise InvalidOptionsError(path, f"must have {len(arguments)} values")
    kinds = [arguments[0]] * len(value) if is_open else list(arguments)
    return tuple(
        _convert(kind, item, path=f"{path}.{index}")
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _convert_scalar(hint: type, value: object, *, path: str) -> object:
    # In Python True is a number; in a request it is a mistake.
    if hint is not bool and isinstance(value, bool):
        raise InvalidOptionsError(path, f"must be {_NAMES[hint]}")
    if hint is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, hint):
        raise InvalidOptionsError(path, f"must be {_NAMES[hint]}")
    return value


_NAMES: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
}
