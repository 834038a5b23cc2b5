"""Who plays the leading parts of a video, decided once and alike by whoever works on a part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from inference.pipeline.selection.select import nearest
from inference.pipeline.swappers.latent import mean_embedding
from inference.pipeline.tracking.tracker import TrackedFace
from inference.pipeline.types import Embedding, Face, Image

_LEADS_MAX: Final = 8
# A face that looked like none of the leads is compared again after this many frames.
_LOOK_EVERY: Final = 25


@dataclass(slots=True)
class _Person:
    """What the samples showed of one person."""

    embeddings: list[Embedding]
    area_px: float


def find_leads(
    samples: Iterable[Image],
    *,
    find: Callable[[Image], Sequence[Face]],
    embed: Callable[[Image, Face], Embedding],
    distance_max: float,
) -> tuple[Embedding, ...]:
    """The people of some frames, first who takes up most of them; at most eight.

    Args:
        samples: (H, W, 3) uint8 BGR each, of one size.
        find: the usable faces of a frame.
        embed: who a face is.
        distance_max: how far two faces of one person may be apart, see ``SelectorOptions``.
    """
    people: list[_Person] = []
    for image_bgr in samples:
        for face in find(image_bgr):
            embedding = embed(image_bgr, face)
            known = [mean_embedding(person.embeddings) for person in people]
            index, how_far = nearest(embedding, known) if known else (0, distance_max)
            if how_far < distance_max:
                people[index].embeddings.append(embedding)
                people[index].area_px += face.area_px
            else:
                people.append(_Person(embeddings=[embedding], area_px=face.area_px))
    people.sort(key=lambda person: person.area_px, reverse=True)
    return tuple(mean_embedding(person.embeddings) for person in people[:_LEADS_MAX])


@dataclass(slots=True)
class _Rank:
    """Place of a track's person among the leads; 0 leads, and who is none of them comes last."""

    place: int
    frames_until_look: int


@dataclass(slots=True)
class LeadingFace:
    """The one face that the mode ``largest`` means. One thread, frames in order.

    Sizes of two faces that are about equal change places from frame to frame, and a part of a video
    begins at any frame. So a person is chosen, not a size: of several faces the one who comes first
    among the leads; among those who are no leads the one chosen before, else the largest.

    Attributes:
        leads: asked once, and only when two faces are seen at a time.
        distance_max: how far a face may be from a lead, see ``SelectorOptions``.
    """

    leads: Callable[[], Sequence[Embedding]]
    distance_max: float
    _known: Sequence[Embedding] | None = None
    _ranks: dict[int, _Rank] = field(default_factory=dict)
    _chosen: int | None = None

    def choose(
        self,
        tracked: Sequence[TrackedFace],
        *,
        embedding_of: Callable[[TrackedFace], Embedding],
    ) -> TrackedFace:
        """The face that is meant.

        Args:
            tracked: the faces of the next frame that shows any; at least one.
            embedding_of: who a face is; asked now and then.
        """
        best = tracked[0]
        if len(tracked) > 1:
            if self._known is None:
                self._known = self.leads()
            places = {entry.track: self._place(entry, embedding_of) for entry in tracked}
            best = min(
                tracked,
                key=lambda entry: (
                    places[entry.track],
                    entry.track != self._chosen,
                    -entry.face.area_px,
                ),
            )
        self._chosen = best.track
        return best

    def _place(self, entry: TrackedFace, embedding_of: Callable[[TrackedFace], Embedding]) -> int:
        known = self._known or ()
        rank = self._ranks.get(entry.track)
        if rank is None:
            rank = self._ranks[entry.track] = _Rank(place=len(known), frames_until_look=0)
        # Whoever was recognised stays that person: a bad look later must not end her part.
        if known and rank.place == len(known):
            rank.frames_until_look -= 1
            if rank.frames_until_look < 0:
                rank.frames_until_look = _LOOK_EVERY
                index, how_far = nearest(embedding_of(entry), known)
                if how_far < self.distance_max:
                    rank.place = index
        return rank.place
