"""What a deployment refuses to work on: sources, targets and results alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from inference.pipeline.errors import (
    ContentBlockedError,
    ContentWhere,
    InvalidOptionsError,
    PipelineError,
    SafetyUnavailableError,
)
from inference.pipeline.safety.votes import CONTRACTS, vote
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.types import Image


@dataclass(frozen=True, slots=True)
class SafetyPolicy:
    """How a deployment checks content; not for a job's owner to choose.

    Attributes:
        models: keys of the classifiers; none: nothing is checked.
        votes_min: as many have to object.
        video_share_max: of a video's checked frames, how many may be objected to.
    """

    models: tuple[str, ...] = ()
    votes_min: int = 2
    video_share_max: float = 0.1

    def __post_init__(self) -> None:
        if self.models and not 1 <= self.votes_min <= len(self.models):
            raise InvalidOptionsError(
                "safety.votes_min", f"must be from 1 to {len(self.models)}, the classifiers' number"
            )
        if not 0 <= self.video_share_max < 1:
            raise InvalidOptionsError("safety.video_share_max", "must be from 0 to below 1")


class SafetyCheck:
    """Asks the classifiers of the policy; threads may share it."""

    def __init__(self, pool: SessionPool, policy: SafetyPolicy) -> None:
        """Open the classifiers.

        Raises:
            SafetyUnavailableError: one is missing, altered, not allowed, or no classifier.
        """
        self.policy = policy
        self._models: list[LoadedModel] = []
        for key in policy.models:
            try:
                model = pool.get(key)
            except PipelineError as error:
                raise SafetyUnavailableError(str(error)) from error
            if model.spec.contract not in CONTRACTS:
                raise SafetyUnavailableError(f"'{key}' is no classifier of content")
            self._models.append(model)

    @property
    def is_on(self) -> bool:
        """Whether anything is checked."""
        return bool(self._models)

    def require(self, image_bgr: Image, *, where: ContentWhere) -> None:
        """Let a picture pass.

        Raises:
            ContentBlockedError: enough classifiers object.
            SafetyUnavailableError: a classifier failed.
        """
        objectors = self.objectors(image_bgr)
        if self.is_on and len(objectors) >= self.policy.votes_min:
            raise ContentBlockedError(where, objectors)

    def objectors(self, image_bgr: Image) -> tuple[str, ...]:
        """Keys of the classifiers that object to a picture, (H, W, 3) uint8 BGR.

        Raises:
            SafetyUnavailableError: a classifier failed: nobody knows, so nothing passes.
        """
        try:
            return tuple(model.spec.key for model in self._models if vote(model, image_bgr))
        except Exception as error:
            raise SafetyUnavailableError(f"a classifier failed: {error}") from error


@dataclass(slots=True)
class VideoSampler:
    """Checks one frame a second of a video.

    Attributes:
        check: asks the classifiers.
        where: ``target`` or ``result``.
        frames_between: frames from one checked frame to the next.
        frames_total: as far as it is known, so that a video can be refused early; 0: unknown.
    """

    check: SafetyCheck
    where: ContentWhere
    frames_between: int
    frames_total: int = 0
    samples_count: int = 0
    _objected: list[tuple[str, ...]] = field(default_factory=list)

    def is_due(self, frame_no: int) -> bool:
        """Whether a frame, counted from 0, is one of those that are checked."""
        return self.check.is_on and frame_no >= 0 and frame_no % self.frames_between == 0

    def look(self, image_bgr: Image) -> None:
        """Check one frame that is due.

        Raises:
            ContentBlockedError: the video cannot stay below its share any more.
            SafetyUnavailableError: a classifier failed.
        """
        self.samples_count += 1
        objectors = self.check.objectors(image_bgr)
        if len(objectors) >= self.check.policy.votes_min:
            self._objected.append(objectors)
        expected = max(self.samples_count, -(-self.frames_total // self.frames_between))
        self._require(expected)

    def finish(self) -> None:
        """Judge the whole of what was checked.

        Raises:
            ContentBlockedError: too many of the checked frames were objected to.
        """
        self._require(self.samples_count)

    def _require(self, samples_count: int) -> None:
        if len(self._objected) > self.check.policy.video_share_max * samples_count:
            raise ContentBlockedError(self.where, self._objected[-1])
