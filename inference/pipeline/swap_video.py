"""Swaps faces in a video: faces are followed in order, and painted in parallel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from inference.pipeline.engine import LANDMARKER, Engine
from inference.pipeline.enhancers.frame import check_result_size
from inference.pipeline.errors import ContentWhere, NoFaceFoundError, PipelineError
from inference.pipeline.frame import swap_frame
from inference.pipeline.job import Job, SwapRequest, prepare_job, tell_identities
from inference.pipeline.masks.cover import CoverHint
from inference.pipeline.safety.check import VideoSampler
from inference.pipeline.selection.casting import Cast
from inference.pipeline.selection.leads import LeadingFace, find_leads
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap import enter
from inference.pipeline.swappers.latent import mean_embedding
from inference.pipeline.tracking.covers import CoverMemory
from inference.pipeline.tracking.tracker import FaceTracker, TrackedFace
from inference.pipeline.types import Embedding, Face, Image, Observer
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.samples import sample_frames
from inference.pipeline.video.transcode import transcode
from inference.pipeline.video.types import (
    Frame,
    Segment,
    TrackedFrameFn,
    TranscodeOptions,
    VideoInfo,
    VideoReport,
)

# A track's identity is looked at again after this many frames, so that one bad look does not last.
_EMBED_EVERY: Final = 25
_EMBEDDINGS_MAX: Final = 5
# Places of a video that are looked at to learn who leads in it; half a second in all.
_SAMPLES_COUNT: Final = 24
_CHECKED: Final[tuple[ContentWhere, ContentWhere]] = ("target", "result")


@dataclass(frozen=True, slots=True)
class VideoSwapReport:
    """What a video swap did.

    Attributes:
        video: frames, streams and times.
        frames_with_faces: frames that showed a usable face.
        frames_swapped: frames in which at least one face was swapped.
        faces_swapped: faces swapped, over all frames.
        tracks_count: faces that were followed, each from its first to its last frame.
        frames_by_person: frames in which each person that the request named was swapped.
        track_s: seconds spent on finding and following.
        paint_s: seconds spent on swapping and pasting, over all threads.
    """

    video: VideoReport
    frames_with_faces: int
    frames_swapped: int
    faces_swapped: int
    tracks_count: int
    track_s: float
    paint_s: float
    frames_by_person: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class VideoPaths:
    """Local files of a video swap.

    Attributes:
        target: the video.
        result: where the new one is written; it appears whole or not at all.
    """

    target: Path
    result: Path


def swap_video(
    *,
    engine: Engine,
    request: SwapRequest,
    paths: VideoPaths,
    options: TranscodeOptions,
    observer: Observer,
    segment: Segment | None = None,
) -> VideoSwapReport:
    """Put faces onto faces of a video.

    A frame without a face that is meant stays as it is. A segment may be without any; whoever joins
    the segments has to look at their counts.

    Args:
        engine: open sessions.
        request: whose faces, onto which, and how.
        paths: from where to where.
        options: limits, trim and encoding.
        observer: gets the stages detect, prepare and video.
        segment: render this part only.

    Raises:
        NoFaceFoundError: a source has no usable face; or the whole video has none that is meant,
            ``target``: then no result is left.
        SeveralFacesError: the mode is ``one`` and a frame has more.
        StoppedError: the observer asked to stop.
        ContentBlockedError: the deployment refuses a source, the target or the result.
        InvalidOptionsError: see ``prepare_job``.
        ResultTooLargeError: frames would grow beyond the limits.
        PipelineError: the video cannot be read or written, see ``transcode``.
    """
    enter(observer, "detect", 0.0)
    info = probe_video(paths.target, limits=options.limits)
    _check_frames(engine, request, options=options, info=info)
    job = _prepare(engine, request, observer)
    run = VideoRun(
        job,
        fps=float(info.fps),
        frames_total=_frames_total(options, info, segment),
        leads=lambda: _leads(job, paths.target, options),
        first_frame=0 if segment is None else segment.first_frame,
    )
    video = transcode(
        source=paths.target,
        target=paths.result,
        frame_fn=TrackedFrameFn(track=run.track, render=run.paint),
        options=options,
        observer=observer,
        segment=segment,
    )
    try:
        run.finish()
        if segment is None and not run.faces_swapped:
            raise NoFaceFoundError("target")
    except PipelineError:
        paths.result.unlink()
        raise
    return run.report(video)


def _prepare(engine: Engine, request: SwapRequest, observer: Observer) -> Job:
    job = prepare_job(engine=engine, request=replace(request, spec=for_video(request.spec)))
    tell_identities(job, observer)
    observer.progress("prepare", 1.0)
    return job


def _check_frames(
    engine: Engine, request: SwapRequest, *, options: TranscodeOptions, info: VideoInfo
) -> None:
    """Refuse a result whose enlarged frames would grow beyond the limits."""
    check_result_size(
        engine.pool.registry,
        request.spec.frame_enhancer,
        size_px=(info.width, info.height),
        pixels_max=options.limits.pixels_max,
        side_max_px=options.limits.side_max_px,
    )


def _frames_total(options: TranscodeOptions, info: VideoInfo, segment: Segment | None) -> int:
    """Frames that will be seen; 0 where a trim leaves it open."""
    if segment is not None:
        return segment.frames_count
    return info.frames_count if options.trim is None else 0


def _leads(job: Job, target: Path, options: TranscodeOptions) -> tuple[Embedding, ...]:
    """Who comes first in the whole video, or in the wanted part of it, for any segment the same."""
    return find_leads(
        sample_frames(target, count=_SAMPLES_COUNT, limits=options.limits, trim=options.trim),
        find=lambda image_bgr: job.analyser.find(image_bgr).faces,
        embed=lambda image_bgr, face: job.embed(image_bgr, face.landmarks),
        distance_max=job.spec.selector.distance_max,
    )


def for_video(spec: SwapSpec) -> SwapSpec:
    """The spec with the looks that a video can afford: one size and, unless asked, upright only."""
    detector = spec.detector
    angles = (0,) if detector.angles is None else detector.angles
    return replace(spec, detector=replace(detector, angles=angles, looks_again=False))


@dataclass(slots=True)
class _Person:
    """What is known of the person of one track."""

    embeddings: list[Embedding] = field(default_factory=list)
    frames_until_look: int = 0


@dataclass(frozen=True, slots=True)
class _Part:
    """A face that is swapped in a frame, and what is known of its cover."""

    cast: Cast
    cover: CoverHint | None


class VideoRun:
    """The state of one run: tracks, their persons, and counts."""

    def __init__(
        self,
        job: Job,
        *,
        fps: float,
        frames_total: int = 0,
        leads: Callable[[], Sequence[Embedding]] = tuple,
        first_frame: int = 0,
    ) -> None:
        """Begin before the first frame.

        Args:
            job: as it was prepared.
            fps: frame rate of the target.
            frames_total: 0 where it is not known.
            leads: who comes first where the mode ``largest`` has to choose, see ``LeadingFace``.
            first_frame: number of the first frame, but for lead-in, in the whole video.
        """
        self._job = job
        uses_mesh = job.spec.landmarker.models == (LANDMARKER,)
        self._tracker = FaceTracker(
            analyser=job.analyser,
            mesh_model=job.engine.model(LANDMARKER) if uses_mesh else None,
            options=job.spec.tracker,
            fps=fps,
        )
        self._covers = CoverMemory(template=job.painter.swapper.template)
        between = max(1, round(fps))
        self._target_sampler, self._result_sampler = (
            VideoSampler(
                check=job.engine.safety,
                where=where,
                frames_between=between,
                frames_total=frames_total,
            )
            for where in _CHECKED
        )
        self._people: dict[int, _Person] = {}
        self._leading = LeadingFace(leads=leads, distance_max=job.spec.selector.distance_max)
        self._first_frame = first_frame
        self._lock = threading.Lock()
        self._frames_with_faces = 0
        self._frames_swapped = 0
        self._frames_by_person = [0] * len(job.director.roles)
        self._paint_s = 0.0
        self._track_s = 0.0
        self.faces_swapped = 0

    def track(self, frame: Frame) -> list[_Part]:
        """Find or follow the faces of the next frame, and cast them; one thread, in order."""
        if self._target_sampler.is_due(frame.index):
            self._target_sampler.look(frame.image_bgr)
        started = time.perf_counter()
        number = self._first_frame + frame.index
        tracked = self._tracker.update(frame.image_bgr, number=number)
        casts = [
            _Part(cast, self._cover(frame.image_bgr, tracked, cast, number))
            for cast in self._cast(frame.image_bgr, tracked)
        ]
        self._track_s += time.perf_counter() - started
        if not frame.is_lead_in:
            self._frames_with_faces += bool(tracked)
            self._frames_swapped += bool(casts)
            self.faces_swapped += len(casts)
            for person in {part.cast.person for part in casts if part.cast.person is not None}:
                self._frames_by_person[person] += 1
        return casts

    def paint(self, frame: Frame, parts: object) -> Image:
        """Swap the faces of one frame; any thread, any order."""
        assert isinstance(parts, list), "the tracker casts every frame"
        if frame.is_lead_in:
            return frame.image_bgr
        started = time.perf_counter()
        result = self._swap(frame, parts) if parts else frame.image_bgr
        # All frames of a result have one size, so those without a face are enlarged too.
        if self._job.frame_enhancer is not None:
            result = self._job.frame_enhancer.enhance(result)
        spent = time.perf_counter() - started
        with self._lock:
            self._paint_s += spent
        return result

    def _swap(self, frame: Frame, parts: Sequence[_Part]) -> Image:
        assignments = self._job.assign_all(
            frame.image_bgr,
            [part.cast for part in parts],
            covers=[part.cover for part in parts],
        )
        result = swap_frame(frame.image_bgr, painter=self._job.painter, assignments=assignments)
        with self._lock:
            if self._result_sampler.is_due(frame.index):
                self._result_sampler.look(result)
        return result

    def finish(self) -> None:
        """Judge what was sampled.

        Raises:
            ContentBlockedError: the deployment refuses the target or the result.
        """
        self._target_sampler.finish()
        self._result_sampler.finish()

    def report(self, video: VideoReport) -> VideoSwapReport:
        """What the run did."""
        return VideoSwapReport(
            video=video,
            frames_with_faces=self._frames_with_faces,
            frames_swapped=self._frames_swapped,
            faces_swapped=self.faces_swapped,
            tracks_count=self._tracker.tracks_count,
            track_s=self._track_s,
            paint_s=self._paint_s,
            frames_by_person=tuple(self._frames_by_person),
        )

    def _cover(
        self, image_bgr: Image, tracked: Sequence[TrackedFace], cast: Cast, number: int
    ) -> CoverHint | None:
        if not self._job.painter.swapper.needs_mesh:
            return None
        track = next(entry.track for entry in tracked if entry.face is cast.face)
        return self._covers.hint(image_bgr, cast.face, track=track, number=number)

    def _cast(self, image_bgr: Image, tracked: Sequence[TrackedFace]) -> list[Cast]:
        chosen = self._leading_alone(image_bgr, tracked)
        tracks = {id(entry.face): entry.track for entry in chosen}

        def embedding_of(face: Face) -> Embedding:
            return self._embedding(image_bgr, face, track=tracks[id(face)])

        faces = [entry.face for entry in chosen]
        return self._job.director.cast(image_bgr, faces, embedding_of=embedding_of)

    def _leading_alone(
        self, image_bgr: Image, tracked: Sequence[TrackedFace]
    ) -> Sequence[TrackedFace]:
        """In the mode ``largest`` one face, see there; else all."""
        if self._job.spec.selector.mode != "largest" or not tracked:
            return tracked

        def embedding_of(entry: TrackedFace) -> Embedding:
            return self._job.embed(image_bgr, entry.face.landmarks)

        return [self._leading.choose(tracked, embedding_of=embedding_of)]

    def _embedding(self, image_bgr: Image, face: Face, *, track: int) -> Embedding:
        """The person of a track, by the last few looks at her."""
        person = self._people.setdefault(track, _Person())
        if person.frames_until_look <= 0:
            person.embeddings.append(self._job.embed(image_bgr, face.landmarks))
            del person.embeddings[:-_EMBEDDINGS_MAX]
            person.frames_until_look = _EMBED_EVERY
        person.frames_until_look -= 1
        return mean_embedding(person.embeddings)
