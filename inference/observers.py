"""Show the progress of an attempt, keep its lease and its hold, and see when it is lost."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from django.conf import settings

from inference import segment_transitions, transitions
from inference.pipeline.types import Embedding
from inference.pipeline.video.types import VideoProgress
from inference.signals import source_faces_seen
from inference.types import Claim, FrameProgress, SegmentClaim

PICTURE_SPANS_PERCENT: Final = {
    "detect": (5, 30),
    "prepare": (30, 45),
    "swap": (45, 75),
    "blend": (75, 95),
}
VIDEO_SPANS_PERCENT: Final = {
    "detect": (1, 4),
    "prepare": (4, segment_transitions.FRAMES_SPAN_PERCENT[0]),
    segment_transitions.STAGE: segment_transitions.FRAMES_SPAN_PERCENT,
    segment_transitions.JOIN_STAGE: (segment_transitions.FRAMES_SPAN_PERCENT[1], 95),
}
_PUBLISH_PERCENT: Final = 95
_INTERVAL_S: Final = 0.5
_SEGMENT_INTERVAL_S: Final = 1.0
_HOLD_RENEWALS_PER_TTL: Final = 10


class Pace:
    """When the next look at the database is due, so that progress costs little."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._hold_interval_s = settings.HOLD_TTL_S / _HOLD_RENEWALS_PER_TTL
        now = time.monotonic()
        self._next_write_at = now
        self._next_hold_at = now + self._hold_interval_s

    def is_due(self) -> bool:
        """Whether to write."""
        return time.monotonic() >= self._next_write_at

    def is_hold_due(self) -> bool:
        """Whether the hold must be kept too."""
        return bool(time.monotonic() >= self._next_hold_at)

    def written(self, *, with_hold: bool) -> None:
        """Start to wait for the next time."""
        now = time.monotonic()
        self._next_write_at = now + self._interval_s
        if with_hold:
            self._next_hold_at = now + self._hold_interval_s


class JobObserver:
    """Of a job that one worker runs in one piece, or joins."""

    def __init__(
        self, claim: Claim, *, spans: Mapping[str, tuple[int, int]] = PICTURE_SPANS_PERCENT
    ) -> None:
        self._claim = claim
        self._spans = spans
        self._stage = ""
        self._percent = 0
        self._frames: FrameProgress | None = None
        self._is_lost = False
        self._pace = Pace(_INTERVAL_S)

    def progress(self, stage: str, fraction: float) -> None:
        """Write at most every half second."""
        start, end = self._spans.get(stage, (self._percent, self._percent))
        share = min(max(fraction, 0.0), 1.0)
        self._stage = stage
        self._percent = max(self._percent, start + int((end - start) * share))
        if self._pace.is_due():
            self._write()

    def identities(self, embeddings: Sequence[Embedding], *, recogniser: str) -> None:
        """Tell the apps above whose faces the job takes."""
        _announce(self._claim.job_id, embeddings, recogniser)

    def publishing(self) -> None:
        """Renew once more right before the result is written."""
        self._stage = "publish"
        self._percent = _PUBLISH_PERCENT
        self._write()

    def should_stop(self) -> bool:
        """True once another attempt owns the job, or the job has ended.

        Asked many times a second, also while nothing gets done: so it keeps the lease too, and a
        cancel is seen within the interval.
        """
        if self._stage and self._pace.is_due():
            self._write()
        return self._is_lost

    def _write(self) -> None:
        is_hold_due = self._pace.is_hold_due()
        is_owner = transitions.renew(
            claim=self._claim,
            stage=self._stage,
            percent=self._percent,
            is_hold_due=is_hold_due,
            frames=self._frames,
        )
        self._is_lost = not is_owner
        self._pace.written(with_hold=is_hold_due)


class VideoObserver(JobObserver):
    """Of a video that one worker runs in one piece, or joins."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(claim, spans=VIDEO_SPANS_PERCENT)

    def frames_done(self, progress: VideoProgress) -> None:
        """Kept until the next write."""
        self._frames = FrameProgress(
            done=progress.frames_done,
            count=progress.frames_total,
            eta_s=None if progress.eta_s is None else round(progress.eta_s),
        )


class SegmentObserver:
    """Of one segment of a video."""

    def __init__(self, claim: SegmentClaim) -> None:
        self._claim = claim
        self._frames_done = 0
        self._is_lost = False
        self._pace = Pace(_SEGMENT_INTERVAL_S)

    def progress(self, _stage: str, _fraction: float) -> None:
        """Only frames count."""

    def frames_done(self, progress: VideoProgress) -> None:
        """Kept until the next write."""
        self._frames_done = min(progress.frames_done, self._claim.plan["frames_count"])

    def identities(self, embeddings: Sequence[Embedding], *, recogniser: str) -> None:
        """Tell the apps above whose faces the job takes; each segment does."""
        _announce(self._claim.job.job_id, embeddings, recogniser)

    def should_stop(self) -> bool:
        """Keep the lease; true once another attempt owns the segment, or the job has ended."""
        if self._pace.is_due():
            is_hold_due = self._pace.is_hold_due()
            self._is_lost = not segment_transitions.renew(
                claim=self._claim, frames_done=self._frames_done, is_hold_due=is_hold_due
            )
            self._pace.written(with_hold=is_hold_due)
        return self._is_lost


def _announce(job_id: uuid.UUID, embeddings: Sequence[Embedding], recogniser: str) -> None:
    source_faces_seen.send_robust(
        sender=JobObserver,
        job_id=job_id,
        recogniser=recogniser,
        embeddings=[embedding.unit for embedding in embeddings],
    )
