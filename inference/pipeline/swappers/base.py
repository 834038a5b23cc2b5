"""What all swappers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from inference.pipeline.aligner import AlignedFace
from inference.pipeline.masks.cover import CoverHint
from inference.pipeline.types import Embedding, Floats, Image, Landmarks


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """One picture of the person whose face is put onto others.

    Attributes:
        image_bgr: (H, W, 3) uint8 BGR.
        landmarks: of the chosen face in it, px of the picture.
    """

    image_bgr: Image
    landmarks: Landmarks


@dataclass(frozen=True, slots=True)
class SwapTarget:
    """One face to be swapped.

    Attributes:
        aligned: cut out by the swapper's template at one of its crop sizes.
        embedding: its own identity by the swapper's recogniser; needed only where a weight mixes it
            in or pushes away from it.
        cover: what earlier frames say about hair and spectacles in front of it.
    """

    aligned: AlignedFace
    embedding: Embedding | None = None
    cover: CoverHint | None = None


@dataclass(frozen=True, slots=True)
class SwappedCrop:
    """Result of a swapper, still in the crop.

    Attributes:
        crop_bgr: (S, S, 3) float32 BGR 0..255, not rounded yet.
        mask: (S, S) float32 0..1, where to paint it; None where the swapper does not say.
    """

    crop_bgr: Floats
    mask: Floats | None


class PreparedSource(Protocol):
    """What a swapper made of the pictures of one person; belongs to whoever asked for it.

    Made once per job and identity, and used for all targets; threads may share it.
    """


class Swapper(Protocol):
    """One way to swap. Holds sessions and nothing of any job; threads may share it."""

    @property
    def template(self) -> str:
        """How targets have to be aligned, a key of ``aligner.TEMPLATES``."""

    @property
    def needs_mesh(self) -> bool:
        """Whether sources and targets need the 468 points."""

    @property
    def recogniser(self) -> str | None:
        """Key of the recogniser whose embeddings it takes; None: it needs none."""

    def crop_size_px(self, *, face_px: float) -> int:
        """Side of the crop for a target whose crop would have ``face_px`` px at full size."""

    def prepare(self, sources: Sequence[SourcePicture]) -> PreparedSource:
        """Work out, once, what the model needs of a source."""

    def swap(self, targets: Sequence[SwapTarget], source: PreparedSource) -> list[SwappedCrop]:
        """Swap several targets of one crop size, in one run where the model allows it."""
