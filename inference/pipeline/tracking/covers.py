"""Remembers what covers a followed face, so that masks cost little and do not flicker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from inference.pipeline.aligner import align_face
from inference.pipeline.masks.cover import WORK_SIZE_PX, CoverHint, cover_hint
from inference.pipeline.types import Face, Image

_LOOK_EVERY: Final = 5
# How much of a new look enters the mask that is used.
_NEW_SHARE: Final = np.float32(0.5)


@dataclass(slots=True)
class _Memory:
    hint: CoverHint
    frames_until_look: int = _LOOK_EVERY


@dataclass(slots=True)
class CoverMemory:
    """The covers of all tracks of a video. One thread, frames in order."""

    template: str
    _tracks: dict[int, _Memory] = field(default_factory=dict)

    def hint(self, image_bgr: Image, face: Face, *, track: int) -> CoverHint:
        """What covers a face, looked at anew every few frames.

        Args:
            image_bgr: (H, W, 3) uint8 BGR.
            face: with a mesh.
            track: whose face it is.
        """
        memory = self._tracks.get(track)
        if memory is None:
            self._tracks[track] = _Memory(self._look(image_bgr, face))
            return self._tracks[track].hint
        memory.frames_until_look -= 1
        if memory.frames_until_look <= 0:
            seen, before = self._look(image_bgr, face), memory.hint.visible
            visible = before + _NEW_SHARE * (seen.visible - before)
            memory.hint = CoverHint(visible=visible, has_spectacles=seen.has_spectacles)
            memory.frames_until_look = _LOOK_EVERY
        return memory.hint

    def _look(self, image_bgr: Image, face: Face) -> CoverHint:
        return cover_hint(
            align_face(
                image_bgr,
                landmarks=face.landmarks,
                template=self.template,
                size_px=WORK_SIZE_PX,
            )
        )
