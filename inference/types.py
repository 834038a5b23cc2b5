"""Values that cross the border of the inference app."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum


class TargetFaces(StrEnum):
    """Which faces of the target picture are replaced."""

    ONE = "one"
    LARGEST = "largest"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class SwapOptions:
    """What the caller may choose about a swap. ``ONE`` refuses a target with several faces."""

    target_faces: TargetFaces = TargetFaces.ONE

    def to_json(self) -> dict[str, str]:
        """The form in which quotes store the options."""
        return {"target_faces": self.target_faces.value}

    @classmethod
    def from_json(cls, stored: dict[str, str]) -> SwapOptions:
        """The inverse of ``to_json``."""
        return cls(target_faces=TargetFaces(stored["target_faces"]))


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """The job that stands for a submit request; ``is_replay`` when an earlier request made it."""

    job_id: uuid.UUID
    is_replay: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to run one attempt of a job, and all it needs to know for that.

    ``attempt`` is the fencing token: whoever comes back with an older number changes nothing.
    """

    job_id: uuid.UUID
    attempt: int
    hold_id: uuid.UUID
    source_key: str
    target_key: str
    options: SwapOptions


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A picture in the media storage; ``sha256`` is 64 hex digits, the sides are upright."""

    key: str
    sha256: str
    content_type: str
    size_bytes: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class SwapOutput:
    """What one attempt produced: the stored result and the report on each face it replaced."""

    image: StoredImage
    faces: tuple[dict[str, object], ...]


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep did: ``to_send`` are queued jobs whose message must be sent now."""

    to_send: tuple[uuid.UUID, ...]
    failed: tuple[uuid.UUID, ...]
