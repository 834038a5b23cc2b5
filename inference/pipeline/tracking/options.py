"""How faces are followed."""

from __future__ import annotations

from dataclasses import dataclass

from inference.pipeline.errors import InvalidOptionsError


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """How faces are followed through a video.

    Attributes:
        detect_every: frames between two looks for new faces; between them each face is followed by
            its own landmarks, which costs a fraction of a look.
        lost_frames_max: how long a face that is not seen keeps its track.
        smoothing: 0..1, how strongly trembling of a face's place and shape is damped; 0 takes them
            as found. What moves is damped less, and does not lag behind.
        scene_cut_levels: mean difference of two frames, in grey levels, that begins a new scene;
            no face is followed across one.
    """

    detect_every: int = 10
    lost_frames_max: int = 12
    smoothing: float = 0.8
    scene_cut_levels: float = 28.0

    def __post_init__(self) -> None:
        if not 1 <= self.detect_every <= 250:  # noqa: PLR2004 - ten seconds at 25 per second
            raise InvalidOptionsError("tracker.detect_every", "must be from 1 to 250")
        if not 0 <= self.lost_frames_max <= 250:  # noqa: PLR2004 - see above
            raise InvalidOptionsError("tracker.lost_frames_max", "must be from 0 to 250")
        if not 0 <= self.smoothing <= 1:
            raise InvalidOptionsError("tracker.smoothing", "must be from 0 to 1")
        if not 1 <= self.scene_cut_levels <= 255:  # noqa: PLR2004 - grey levels
            raise InvalidOptionsError("tracker.scene_cut_levels", "must be from 1 to 255")
