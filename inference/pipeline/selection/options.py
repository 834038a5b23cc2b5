"""What a job says about the faces it wants swapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from inference.pipeline.errors import InvalidOptionsError

Mode = Literal["one", "largest", "all", "reference", "mapping"]
Order = Literal[
    "left_right",
    "right_left",
    "top_bottom",
    "bottom_top",
    "small_large",
    "large_small",
    "best_worst",
    "worst_best",
]
Gender = Literal["female", "male"]

#: Half the distance of two unit vectors squared, (1 - cosine) / 2, below which two faces count as
#: one person. 0.3 is a cosine of 0.4.
DISTANCE_DEFAULT: Final = 0.3


@dataclass(frozen=True, slots=True)
class FaceFilter:
    """Attributes a target face must have; a job that names any needs the classifier.

    Attributes:
        gender: None: any.
        age_from: youngest age; a face counts when its age group reaches into the span.
        age_to: first age after the span.
        race: a sensitive attribute: only where the deployment allows it.
    """

    gender: Gender | None = None
    age_from: int | None = None
    age_to: int | None = None
    race: str | None = None

    def __post_init__(self) -> None:
        if self.gender not in (None, *get_args(Gender)):
            raise InvalidOptionsError("selector.filter.gender", "must be female or male")
        for param, age in (("age_from", self.age_from), ("age_to", self.age_to)):
            if age is not None and not 0 <= age <= 120:  # noqa: PLR2004 - years
                raise InvalidOptionsError(f"selector.filter.{param}", "must be from 0 to 120")
        if self.age_from is not None and self.age_to is not None and self.age_from >= self.age_to:
            raise InvalidOptionsError("selector.filter.age_to", "must be above age_from")

    @property
    def is_empty(self) -> bool:
        """Whether every face passes."""
        return self == FaceFilter()


@dataclass(frozen=True, slots=True)
class SelectorOptions:
    """Which target faces are swapped.

    Attributes:
        mode: ``one`` insists on exactly one, ``largest`` takes the largest, ``all`` takes every
            usable face; ``reference`` takes the person shown in a reference; ``mapping`` gives each
            named face the identity that is mapped to it.
        order: in which faces are counted and reported.
        filter: what a face must be like, in every mode but mapping.
        distance_max: how far a face may be from the reference, see ``DISTANCE_DEFAULT``.
        reference_frame: of a video: the frame in which the reference is looked for.
        reference_position: which face of the reference picture or frame, in ``order``, from 0.
    """

    mode: Mode = "one"
    order: Order = "large_small"
    filter: FaceFilter = FaceFilter()
    distance_max: float = DISTANCE_DEFAULT
    reference_frame: int = 0
    reference_position: int = 0

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise InvalidOptionsError(
                "selector.mode", f"must be one of: {', '.join(get_args(Mode))}"
            )
        if self.order not in get_args(Order):
            raise InvalidOptionsError(
                "selector.order", f"must be one of: {', '.join(get_args(Order))}"
            )
        if not 0 < self.distance_max <= 1:
            raise InvalidOptionsError("selector.distance_max", "must be above 0 and at most 1")
        for param, value in (
            ("reference_frame", self.reference_frame),
            ("reference_position", self.reference_position),
        ):
            if value < 0:
                raise InvalidOptionsError(f"selector.{param}", "must be 0 or more")
