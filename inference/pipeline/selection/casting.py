"""Decides whose face each target face gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inference.pipeline.analysis.analyser import FaceAnalyser
from inference.pipeline.analysis.candidates import overlaps
from inference.pipeline.errors import SeveralFacesError
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.selection.select import in_order, nearest, passes
from inference.pipeline.types import Embedding, Face, Floats, Image

# A face found again in the same picture shares at least this much of its box.
_SAME_PLACE_MIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Role:
    """A person of the target, by her place or by her own face, and the identity she is given.

    Attributes:
        identity: number of the identity among those of the job; None: she is left as she is, and
            nobody is taken for somebody else because of a likeness to her.
        embedding: of her face in the target; None where her place is known.
        box_xyxy: (4,) float32, px: of a single picture, where her face is.
    """

    identity: int | None
    embedding: Embedding | None = None
    box_xyxy: Floats | None = None


@dataclass(frozen=True, slots=True)
class Cast:
    """One face and the number of the identity it gets.

    ``person`` is the number of the role it was recognised as, None where nobody was named.
    """

    face: Face
    identity: int
    person: int | None = None


@dataclass(frozen=True, slots=True)
class Director:
    """Casts the faces of a job's frames.

    Attributes:
        analyser: guesses attributes where a filter asks for them.
        options: which faces are meant.
        roles: for the modes reference and mapping: who is meant, and what she gets.
    """

    analyser: FaceAnalyser
    options: SelectorOptions
    roles: Sequence[Role]

    @property
    def needs_embeddings(self) -> bool:
        """Whether casting compares faces with roles."""
        return self.options.mode in ("reference", "mapping")

    def cast(
        self,
        image_bgr: Image,
        faces: Sequence[Face],
        *,
        embedding_of: Callable[[Face], Embedding],
    ) -> list[Cast]:
        """The faces of a frame that are swapped, in the order of the options.

        Args:
            image_bgr: (H, W, 3) uint8 BGR.
            faces: all usable faces of the frame.
            embedding_of: asked only where the mode compares faces.

        Raises:
            SeveralFacesError: the mode is ``one`` and there are more.
        """
        options = self.options
        meant = in_order([face for face in faces if self._fits(image_bgr, face)], options.order)
        if self.needs_embeddings:
            return [cast for face in meant if (cast := self._recognise(face, embedding_of))]
        if options.mode == "one" and len(meant) > 1:
            raise SeveralFacesError("target", len(meant))
        if options.mode == "largest" and meant:
            meant = [max(meant, key=lambda face: face.area_px)]
        return [Cast(face=face, identity=0) for face in meant]

    def _fits(self, image_bgr: Image, face: Face) -> bool:
        wanted = self.options.filter
        if wanted.is_empty:
            return True
        return passes(self.analyser.attributes(image_bgr, face.landmarks), wanted)

    def _recognise(self, face: Face, embedding_of: Callable[[Face], Embedding]) -> Cast | None:
        index = self._at_place_of(face)
        if index is None:
            index = self._like(face, embedding_of)
        if index is None:
            return None
        identity = self.roles[index].identity
        return None if identity is None else Cast(face=face, identity=identity, person=index)

    def _at_place_of(self, face: Face) -> int | None:
        """The role whose place a face is at."""
        placed = [
            (index, role.box_xyxy)
            for index, role in enumerate(self.roles)
            if role.box_xyxy is not None
        ]
        if not placed:
            return None
        shared = overlaps(face.detection.box_xyxy, np.stack([box for _index, box in placed]))
        best = int(shared.argmax())
        return placed[best][0] if shared[best] >= _SAME_PLACE_MIN else None

    def _like(self, face: Face, embedding_of: Callable[[Face], Embedding]) -> int | None:
        """The role that a face is most like, if it is like any."""
        known = [
            (index, role.embedding)
            for index, role in enumerate(self.roles)
            if role.embedding is not None
        ]
        if not known:
            return None
        best, how_far = nearest(embedding_of(face), [embedding for _index, embedding in known])
        return known[best][0] if how_far < self.options.distance_max else None
