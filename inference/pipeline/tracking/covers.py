"""Remembers what covers a followed face, so that masks cost little and do not flicker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from inference.pipeline.aligner import align_face
from inference.pipeline.masks.cover import WORK_SIZE_PX, CoverHint, cover_hint
from inference.pipeline.types import Face, Image

_LOOK_EVERY: Final = 5
_TRACKS_MAX: Final = 64
# How much of a new look enters the mask that is used.
_NEW_SHARE: Final = np.float32(0.5)


@dataclass(slots=True)
class CoverMemory:
    """The covers of all tracks of a video. One thread, frames in order."""

    template: str
    _hints: dict[int, CoverHint] = field(default_factory=dict)

    def hint(self, image_bgr: Image, face: Face, *, track: int, number: int) -> CoverHint:
        """What covers a face, looked at anew every few frames.

        Args:
            image_bgr: (H, W, 3) uint8 BGR.
            face: with a mesh.
            track: whose face it is.
            number: of the frame in the whole video; it decides when to look, so that each segment
                looks where the whole would.
        """
        hint = self._hints.pop(track, None)
        if hint is None:
            hint = self._look(image_bgr, face)
        elif number % _LOOK_EVERY == 0:
            seen, before = self._look(image_bgr, face), hint.visible
            visible = before + _NEW_SHARE * (seen.visible - before)
            hint = CoverHint(visible=visible, has_spectacles=seen.has_spectacles)
        # Tracks end without a word; those not asked for the longest are let go.
        self._hints[track] = hint
        if len(self._hints) > _TRACKS_MAX:
            del self._hints[next(iter(self._hints))]
        return hint

    def _look(self, image_bgr: Image, face: Face) -> CoverHint:
        return cover_hint(
            align_face(
                image_bgr,
                landmarks=face.landmarks,
                template=self.template,
                size_px=WORK_SIZE_PX,
            )
        )
