"""Gives each face of a video a number that it keeps from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np

from inference.pipeline.analysis.analyser import FaceAnalyser
from inference.pipeline.analysis.candidates import overlaps
from inference.pipeline.analysis.face_mesh import follow, landmarks_of
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.tracking.options import TrackerOptions
from inference.pipeline.tracking.smoothing import LandmarkFilter
from inference.pipeline.types import Detection, Face, Floats, Image, Landmarks

# Boxes that share this much belong to one face.
_SAME_FACE_MIN: Final = 0.3
# Two tracks that share this much follow one face; the younger one ends.
_TWIN_MIN: Final = 0.6
# A followed face may be seen a little less well than one that is found.
_FOLLOW_SCORE_MIN: Final = 1 / 3
_SCENE_SIZE_PX: Final = (32, 18)
_SCENE_STEP: Final = 8


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face of a frame, and the track it belongs to."""

    track: int
    face: Face


@dataclass(slots=True, eq=False)
class _Track:
    number: int
    face: Face
    smoothing: LandmarkFilter
    lost_frames: int = 0
    raw_mesh: Floats | None = None


@dataclass(slots=True)
class FaceTracker:
    """Follows the faces of one video. One thread, frames in order.

    Attributes:
        analyser: finds faces, and their landmarks.
        mesh_model: follows a face by its own mesh; None where another landmarker is used, then
            every frame is searched.
        options: see there.
        fps: frame rate, for the smoothing.
    """

    analyser: FaceAnalyser
    mesh_model: LoadedModel | None
    options: TrackerOptions
    fps: float
    _tracks: list[_Track] = field(default_factory=list)
    _next_number: int = 0
    _scene: Image | None = None

    def update(self, image_bgr: Image, *, number: int) -> tuple[TrackedFace, ...]:
        """The faces of the next frame.

        Args:
            image_bgr: (H, W, 3) uint8 BGR.
            number: of the frame in the whole video; it decides when faces are looked for, so that
                each segment looks where the whole would.
        """
        if self._is_scene_cut(image_bgr):
            self._tracks.clear()
        self._follow(image_bgr)
        is_lost = any(track.lost_frames for track in self._tracks)
        if (
            self.mesh_model is None
            or not self._tracks
            or is_lost
            or number % self.options.detect_every == 0
        ):
            self._look(image_bgr)
        self._end_twins()
        return tuple(
            TrackedFace(track=track.number, face=track.face)
            for track in self._tracks
            if not track.lost_frames
        )

    @property
    def tracks_count(self) -> int:
        """Tracks begun so far."""
        return self._next_number

    def _is_scene_cut(self, image_bgr: Image) -> bool:
        # A few pixels tell as much, and reading all of them would take a millisecond.
        step = min(_SCENE_STEP, max(1, min(image_bgr.shape[:2]) // _SCENE_SIZE_PX[0]))
        sparse = image_bgr[::step, ::step]
        small = cv2.resize(sparse, _SCENE_SIZE_PX, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        before, self._scene = self._scene, grey
        if before is None:
            return False
        change = float(np.abs(grey.astype(np.float32) - before).mean())
        return change > self.options.scene_cut_levels

    def _follow(self, image_bgr: Image) -> None:
        """Fit the meshes of all tracks around where they were, in one run."""
        if self.mesh_model is None or not self._tracks:
            for track in self._tracks:
                track.lost_frames += 1
            self._drop_lost()
            return
        before = [_raw_mesh(track) for track in self._tracks]
        found = follow(self.mesh_model, image_bgr=image_bgr, meshes=before)
        for track, (mesh, logit) in zip(self._tracks, found, strict=True):
            self._move(track, mesh, logit)
        self._drop_lost()

    def _move(self, track: _Track, mesh: Floats, logit: float) -> None:
        raw = landmarks_of(mesh, logit=logit)
        if raw.score < _FOLLOW_SCORE_MIN:
            track.lost_frames += 1
            return
        track.lost_frames = 0
        track.raw_mesh = mesh
        self._place(track, raw, score=track.face.detection.score)

    def _look(self, image_bgr: Image) -> None:
        """Search the frame; found faces continue a track or begin one."""
        free = list(self._tracks)
        for detection in self.analyser.detect(image_bgr):
            track = _best_match(detection.box_xyxy, free)
            if track is not None and not track.lost_frames and self.mesh_model is not None:
                # It is followed, and needs no landmarks of the detector's.
                free.remove(track)
                continue
            face = self.analyser.face_at(image_bgr, detection)
            if face is None:
                continue
            dense = face.landmarks.dense
            track = _best_match(detection.box_xyxy if dense is None else _box_of(dense), free)
            if track is None:
                self._begin(face)
                continue
            free.remove(track)
            if track.lost_frames or self.mesh_model is None:
                self._resume(track, face)

    def _begin(self, face: Face) -> None:
        smoothing = LandmarkFilter(strength=self.options.smoothing)
        track = _Track(number=self._next_number, face=face, smoothing=smoothing)
        self._next_number += 1
        self._tracks.append(track)
        self._resume(track, face)

    def _resume(self, track: _Track, face: Face) -> None:
        # Without a mesh every track counts as lost until the look finds it again.
        is_next = self.mesh_model is None and track.lost_frames == 1
        if track.lost_frames and not is_next:
            track.smoothing.reset()
        track.lost_frames = 0
        track.raw_mesh = face.landmarks.dense
        track.face = face
        self._place(track, face.landmarks, score=face.detection.score)

    def _place(self, track: _Track, found: Landmarks, *, score: float) -> None:
        """Put a track where its face was found, without the trembling."""
        landmarks = track.smoothing.apply(found, step_s=1 / self.fps)
        # Found faces get the box that followed ones have, so that sizes do not jump.
        box = track.face.detection.box_xyxy
        if landmarks.dense is not None:
            box = _box_of(landmarks.dense)
        detection = Detection(box_xyxy=box, points=landmarks.five, score=score)
        track.face = Face(detection=detection, landmarks=landmarks)

    def _drop_lost(self) -> None:
        limit = self.options.lost_frames_max
        self._tracks = [track for track in self._tracks if track.lost_frames <= limit]

    def _end_twins(self) -> None:
        kept: list[_Track] = []
        for track in sorted(self._tracks, key=lambda track: track.number):
            box = track.face.detection.box_xyxy
            others = [other.face.detection.box_xyxy for other in kept]
            if not others or overlaps(box, np.stack(others)).max() <= _TWIN_MIN:
                kept.append(track)
        self._tracks = kept


def _best_match(box: Floats, tracks: Sequence[_Track]) -> _Track | None:
    """The track whose box shares most with a face's, if enough."""
    if not tracks:
        return None
    shared = overlaps(box, np.stack([track.face.detection.box_xyxy for track in tracks]))
    best = int(shared.argmax())
    return tracks[best] if shared[best] >= _SAME_FACE_MIN else None


def _raw_mesh(track: _Track) -> Floats:
    assert track.raw_mesh is not None, "the mesh landmarker gives every track a mesh"
    return track.raw_mesh


def _box_of(mesh: Floats) -> Floats:
    """(4,) float32 xyxy around a mesh."""
    plane = mesh[:, :2]
    return np.concatenate([plane.min(axis=0), plane.max(axis=0)]).astype(np.float32)
