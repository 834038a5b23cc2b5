"""Decides whose face each target face gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inference.pipeline.analysis.analyser import FaceAnalyser
from inference.pipeline.errors import SeveralFacesError
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.selection.select import in_order, nearest, passes
from inference.pipeline.types import Embedding, Face, Image


@dataclass(frozen=True, slots=True)
class Role:
    """A person of the target, by her own face, and the identity she is given.

    Attributes:
        embedding: of her face in the target.
        identity: number of the identity among those of the job.
    """

    embedding: Embedding
    identity: int


@dataclass(frozen=True, slots=True)
class Cast:
    """One face and the number of the identity it gets."""

    face: Face
    identity: int


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
        references = [role.embedding for role in self.roles]
        index, how_far = nearest(embedding_of(face), references)
        if how_far >= self.options.distance_max:
            return None
        return Cast(face=face, identity=self.roles[index].identity)
