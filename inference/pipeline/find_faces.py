"""Finds the faces of a picture, or the people of a video, so that they can be named in a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from av.video.frame import VideoFrame

from inference.pipeline import image_io
from inference.pipeline.analysis.analyser import AnalysisOptions, FaceAnalyser, largest_first
from inference.pipeline.analysis.recognisers import embed_faces
from inference.pipeline.engine import RECOGNISER, Engine
from inference.pipeline.errors import StoppedError
from inference.pipeline.selection.options import DISTANCE_DEFAULT
from inference.pipeline.selection.select import distance
from inference.pipeline.swappers.latent import mean_embedding
from inference.pipeline.types import Embedding, Face, Floats, Image, Observer
from inference.pipeline.video.colour import FrameConverter
from inference.pipeline.video.decode import DecodeRange, FrameReader
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.types import VideoInfo, VideoLimits

STAGE: Final = "faces"
THUMBNAIL_SIDE_PX: Final = 160
# How far a thumbnail reaches around the box, as a multiple of its longer side.
_THUMBNAIL_SCALE: Final = 1.6
_SHARPNESS_SIDE_PX: Final = 112
_INTERVAL_MIN_S: Final = Fraction(1, 2)
# With at most this many frames from sample to sample, reading all of them beats seeking.
_READ_ON_FRAMES_MAX: Final = 500
_CORRUPT_MAX: Final = 25


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face of a picture, or a person of a video by her best sample.

    Attributes:
        box_xyxy: left, top, right, bottom in px of the upright picture or frame.
        score: 0..1, of the detector.
        landmark_score: 0..1, how well the face is seen; low where it is turned away.
        sharpness: variance of the Laplacian of the grey face at 112 px; below 50 it is blurred.
        embedding: by ``RECOGNISER``; of a person, over all her samples.
        thumbnail: JPEG of the face and a little around it.
        time_ms: of a video: when the sample is shown.
        start_ms: of a video: when the person is seen first.
        end_ms: of a video: when she is seen last.
        samples_count: in how many samples she is seen; 1 in a picture.
    """

    box_xyxy: tuple[float, float, float, float]
    score: float
    landmark_score: float
    sharpness: float
    embedding: Embedding
    thumbnail: bytes
    time_ms: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    samples_count: int = 1


@dataclass(frozen=True, slots=True)
class FacesFound:
    """What was found.

    Attributes:
        faces: of a picture, the largest first; of a video, who is seen most often first.
        turned_away_count: faces that are turned too far to the side to be used.
        left_out_count: faces beyond the limit.
        samples_count: frames that were looked at; 1 of a picture.
    """

    faces: tuple[FoundFace, ...]
    turned_away_count: int
    left_out_count: int
    samples_count: int


@dataclass(frozen=True, slots=True)
class FindLimits:
    """How much work one search may be.

    Attributes:
        faces_max: most faces of a picture, a frame or a video.
        samples_max: most frames of a video that are looked at.
    """

    faces_max: int
    samples_max: int


def find_in_image(*, engine: Engine, image_bgr: Image, limits: FindLimits) -> FacesFound:
    """The usable faces of a picture; none is an answer too.

    Args:
        engine: open sessions.
        image_bgr: (H, W, 3) uint8 BGR.
        limits: see there.
    """
    analyser = FaceAnalyser(engine.pool, AnalysisOptions())
    seen, turned_away_count, left_out_count = _look(engine, analyser, image_bgr, limits)
    return FacesFound(
        faces=tuple(
            _found(image_bgr, face, embedding, _sharpness(image_bgr, face))
            for face, embedding in seen
        ),
        turned_away_count=turned_away_count,
        left_out_count=left_out_count,
        samples_count=1,
    )


def find_in_video(
    *, engine: Engine, path: Path, video: VideoLimits, limits: FindLimits, observer: Observer
) -> FacesFound:
    """The people of a video, from frames at even distances of half a second or more.

    Faces of different samples are one person where they are alike; two faces of one frame never
    are.

    Args:
        engine: open sessions.
        path: a local file.
        video: as for ``probe_video``.
        limits: see there.
        observer: gets the stage faces.

    Raises:
        PipelineError: the video cannot be read.
        StoppedError: the observer asked to stop.
    """
    info = probe_video(path, limits=video)
    converter = FrameConverter(info=info, keep_alpha=False)
    analyser = FaceAnalyser(engine.pool, AnalysisOptions())
    times_s = _sample_times(info.duration_s, samples_max=limits.samples_max)
    people: list[_Person] = []
    turned_away_count = samples_count = 0
    for time_s, frame in _samples(path, info=info, limits=video, times_s=times_s):
        if observer.should_stop():
            raise StoppedError(STAGE)
        observer.progress(STAGE, samples_count / len(times_s))
        image_bgr, _alpha = converter.to_bgr(frame)
        seen, turned_away, _left_out = _look(engine, analyser, image_bgr, limits)
        _add_sample(people, image_bgr, seen, time_ms=round(time_s * 1000))
        turned_away_count += turned_away
        samples_count += 1
    people.sort(key=lambda person: (-len(person.embeddings), person.start_ms))
    return FacesFound(
        faces=tuple(person.to_found() for person in people[: limits.faces_max]),
        turned_away_count=turned_away_count,
        left_out_count=max(0, len(people) - limits.faces_max),
        samples_count=samples_count,
    )


@dataclass(slots=True)
class _Person:
    """One person of a video, and her best sample so far."""

    best: FoundFace
    start_ms: int
    end_ms: int
    embeddings: list[Embedding] = field(default_factory=list)

    def to_found(self) -> FoundFace:
        """The best look at the person, with the mean embedding and the span of all looks."""
        best = self.best
        return FoundFace(
            box_xyxy=best.box_xyxy,
            score=best.score,
            landmark_score=best.landmark_score,
            sharpness=best.sharpness,
            embedding=mean_embedding(self.embeddings),
            thumbnail=best.thumbnail,
            time_ms=best.time_ms,
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            samples_count=len(self.embeddings),
        )


def _look(
    engine: Engine, analyser: FaceAnalyser, image_bgr: Image, limits: FindLimits
) -> tuple[list[tuple[Face, Embedding]], int, int]:
    """Faces with embeddings, largest first; how many are turned away, and how many left out."""
    found = analyser.find(image_bgr)
    faces = largest_first(found.faces)[: limits.faces_max]
    embeddings = embed_faces(
        engine.model(RECOGNISER), image_bgr=image_bgr, faces=[face.landmarks for face in faces]
    )
    seen = list(zip(faces, embeddings, strict=True))
    return seen, found.turned_away_count, len(found.faces) - len(faces)


def _add_sample(
    people: list[_Person],
    image_bgr: Image,
    seen: Sequence[tuple[Face, Embedding]],
    *,
    time_ms: int,
) -> None:
    """Give each face of a frame to the person it is most like, the surest first."""
    known = [mean_embedding(person.embeddings) for person in people]
    pairs = sorted(
        (distance(embedding, person), at, who)
        for at, (_face, embedding) in enumerate(seen)
        for who, person in enumerate(known)
    )
    whose: dict[int, int] = {}
    for how_far, at, who in pairs:
        if how_far < DISTANCE_DEFAULT and at not in whose and who not in whose.values():
            whose[at] = who
    for at, (face, embedding) in enumerate(seen):
        sharpness = _sharpness(image_bgr, face)
        if at not in whose:
            best = _found(image_bgr, face, embedding, sharpness, time_ms=time_ms)
            people.append(
                _Person(best=best, start_ms=time_ms, end_ms=time_ms, embeddings=[embedding])
            )
            continue
        person = people[whose[at]]
        person.embeddings.append(embedding)
        person.end_ms = time_ms
        if _worth(face.detection.box_xyxy, face.landmarks.score) > _worth(
            np.asarray(person.best.box_xyxy, dtype=np.float32), person.best.landmark_score
        ):
            person.best = _found(image_bgr, face, embedding, sharpness, time_ms=time_ms)


def _worth(box_xyxy: Floats, landmark_score: float) -> float:
    """How good a sample is to know somebody by: large, and seen from the front."""
    left, top, right, bottom = box_xyxy
    return landmark_score * float(min(right - left, bottom - top))


def _found(
    image_bgr: Image,
    face: Face,
    embedding: Embedding,
    sharpness: float,
    *,
    time_ms: int | None = None,
) -> FoundFace:
    left, top, right, bottom = (float(value) for value in face.detection.box_xyxy)
    return FoundFace(
        box_xyxy=(left, top, right, bottom),
        score=face.detection.score,
        landmark_score=face.landmarks.score,
        sharpness=sharpness,
        embedding=embedding,
        thumbnail=image_io.thumbnail(
            _around(image_bgr, face, scale=_THUMBNAIL_SCALE), side_px=THUMBNAIL_SIDE_PX
        ),
        time_ms=time_ms,
    )


def _sharpness(image_bgr: Image, face: Face) -> float:
    side_px = (_SHARPNESS_SIDE_PX, _SHARPNESS_SIDE_PX)
    crop = cv2.resize(_around(image_bgr, face, scale=1.0), side_px, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def _around(image_bgr: Image, face: Face, *, scale: float) -> Image:
    """The part of a picture in a square around a face, cut at the borders; at least one pixel."""
    height, width = image_bgr.shape[:2]
    left, top, right, bottom = face.detection.box_xyxy
    half = max(right - left, bottom - top) * scale / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    x_from, x_to = _span(x - half, x + half, length=width)
    y_from, y_to = _span(y - half, y + half, length=height)
    return image_bgr[y_from:y_to, x_from:x_to]


def _span(low: float, high: float, *, length: int) -> tuple[int, int]:
    start = min(max(int(low), 0), length - 1)
    return start, min(max(int(high) + 1, start + 1), length)


def _sample_times(duration_s: Fraction, *, samples_max: int) -> list[Fraction]:
    interval_s = max(_INTERVAL_MIN_S, duration_s / samples_max)
    count = min(samples_max, int(duration_s / interval_s) + 1)
    return [interval_s * number for number in range(count)]


def _samples(
    path: Path, *, info: VideoInfo, limits: VideoLimits, times_s: Sequence[Fraction]
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """The frames shown at the wanted times, each with the time it is shown at."""
    if info.frames_count <= _READ_ON_FRAMES_MAX * len(times_s):
        yield from _read_on(path, info=info, limits=limits, times_s=times_s)
        return
    for time_s in times_s:
        reader = _reader(path, info=info, limits=limits)
        shown = reader.frame_at(info.origin_pts + int(time_s // info.time_base))
        yield _time_of(shown.pts, info), shown.frame


def _read_on(
    path: Path, *, info: VideoInfo, limits: VideoLimits, times_s: Sequence[Fraction]
) -> Iterator[tuple[Fraction, VideoFrame]]:
    due = 0
    for item in _reader(path, info=info, limits=limits).frames(DecodeRange()):
        time_s = _time_of(item.pts, info)
        if due == len(times_s):
            return
        if time_s < times_s[due]:
            continue
        yield time_s, item.frame
        while due < len(times_s) and times_s[due] <= time_s:
            due += 1


def _time_of(pts: int, info: VideoInfo) -> Fraction:
    return max(Fraction(0), (pts - info.origin_pts) * info.time_base)


def _reader(path: Path, *, info: VideoInfo, limits: VideoLimits) -> FrameReader:
    return FrameReader(path, info=info, limits=limits, corrupt_frames_max=_CORRUPT_MAX)
