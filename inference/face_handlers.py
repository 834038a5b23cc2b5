"""Bodies of the tasks that find faces. No transaction is open while media is looked at."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Final

import structlog
from django.conf import settings

from inference import face_transitions, runtime, storage
from inference.models import AssetFace
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import image_io
from inference.pipeline.video import errors as video_errors
from inference.types import FACE_MODEL_SET, FaceClaim, FaceCounts

if TYPE_CHECKING:
    from inference.pipeline.find_faces import FacesFound, FoundFace

log = structlog.get_logger(__name__)
# Faults of what was uploaded: another attempt would end the same.
_INPUT_ERRORS: Final = (
    pipeline_errors.UnsupportedImageError,
    pipeline_errors.UnreadableImageError,
    pipeline_errors.ImageTooLargeError,
    video_errors.UnsupportedVideoError,
    video_errors.UnreadableVideoError,
    video_errors.NoVideoStreamError,
    video_errors.EncryptedVideoError,
    video_errors.VideoTooLargeError,
    video_errors.VideoTooLongError,
)
_SWEEP_LIMIT: Final = 100
_RENEWALS_PER_LEASE: Final = 6
# Two faces of one frame whose middles share a cell of this size are told apart by their number.
_ID_GRID_PX: Final = 16


def find_faces(*, search_id: uuid.UUID) -> bool:
    """Claim, look, keep. A repeated message finds the claim taken and does nothing.

    Returns:
        True when the search went back into the queue and its message must be sent again.
    """
    claim = face_transitions.claim(search_id=search_id)
    if claim is None:
        log.info("inference.faces.nothing_to_find", search_id=str(search_id))
        return False
    folder = storage.faces_folder(
        asset_id=claim.asset_id, search_id=claim.search_id, attempt=claim.attempt
    )
    try:
        found = _look(claim)
        rows = _keep(claim, found, folder=folder)
        is_kept = face_transitions.finish(
            claim=claim,
            faces=rows,
            counts=FaceCounts(
                samples=found.samples_count,
                turned_away=found.turned_away_count,
                left_out=found.left_out_count,
            ),
        )
    except pipeline_errors.StoppedError:
        is_kept = False
    except _INPUT_ERRORS as error:
        face_transitions.fail(claim=claim, code=error.code, detail=str(error))
        is_kept = False
    except Exception as error:
        # The thumbnails stay: it may have been the commit that broke, and the rows may name them.
        log.exception("inference.faces.attempt_broke", search_id=str(search_id))
        detail = f"{type(error).__name__}: {error}"
        return face_transitions.retry(claim=claim, detail=detail)
    if not is_kept:
        storage.delete_folder(folder)
    return False


def lost_searches() -> list[uuid.UUID]:
    """Searches whose message or worker seems lost; the caller must send their messages."""
    return face_transitions.unsent(limit=_SWEEP_LIMIT)


def forget_expired_faces() -> None:
    """Delete the faces, embeddings and thumbnails whose time is over."""
    asset_ids = face_transitions.expire(limit=_SWEEP_LIMIT)
    for asset_id in asset_ids:
        storage.delete_faces(asset_id=asset_id)
    if asset_ids:
        log.info("inference.faces.expired", uploads_count=len(asset_ids))


class SearchObserver:
    """Keeps the lease of a search, and sees when it is lost or the faces are to be forgotten."""

    def __init__(self, claim: FaceClaim) -> None:
        self._claim = claim
        self._interval_s = settings.JOB_LEASE_S / _RENEWALS_PER_LEASE
        self._next_at = time.monotonic() + self._interval_s
        self._is_lost = False

    def progress(self, _stage: str, _fraction: float) -> None:
        """Nobody is shown how far a search is."""

    def should_stop(self) -> bool:
        """True once the search is not the worker's any more."""
        if time.monotonic() >= self._next_at:
            self._is_lost = not face_transitions.renew(claim=self._claim)
            self._next_at = time.monotonic() + self._interval_s
        return self._is_lost


def _look(claim: FaceClaim) -> FacesFound:
    if claim.is_video:
        with storage.local_file(claim.file_key) as path:
            return runtime.find_faces_in_video(path=path, observer=SearchObserver(claim))
    limits = image_io.ImageLimits(
        pixels_max=settings.IMAGE_PIXELS_MAX, side_max_px=settings.IMAGE_SIDE_MAX_PX
    )
    image_bgr = image_io.decode_image(storage.read(claim.file_key), limits=limits)
    return runtime.find_faces_in_image(image_bgr=image_bgr)


def _keep(claim: FaceClaim, found: FacesFound, *, folder: str) -> list[AssetFace]:
    rows: list[AssetFace] = []
    for index, face in enumerate(found.faces):
        face_id = _face_id(claim.asset_id, face, taken={row.pk for row in rows})
        key = f"{folder}/{face_id}.jpg"
        storage.write_small_picture(key=key, data=face.thumbnail)
        left_px, top_px, right_px, bottom_px = face.box_xyxy
        rows.append(
            AssetFace(
                id=face_id,
                search_id=claim.search_id,
                index=index,
                left_px=left_px,
                top_px=top_px,
                right_px=right_px,
                bottom_px=bottom_px,
                score=face.score,
                landmark_score=face.landmark_score,
                sharpness=face.sharpness,
                samples_count=face.samples_count,
                time_ms=face.time_ms,
                start_ms=face.start_ms,
                end_ms=face.end_ms,
                embedding=face.embedding.raw.astype("<f4").tobytes(),
                thumbnail_key=key,
            )
        )
    return rows


def _face_id(asset_id: uuid.UUID, face: FoundFace, *, taken: set[uuid.UUID]) -> uuid.UUID:
    """The same id whenever the same face is found at the same place of the same upload."""
    left, top, right, bottom = face.box_xyxy
    x, y = (int((low + high) / 2 // _ID_GRID_PX) for low, high in ((left, right), (top, bottom)))
    number = 0
    while True:
        name = f"{FACE_MODEL_SET}:{face.time_ms}:{x}:{y}:{number}"
        face_id = uuid.uuid5(asset_id, name)
        if face_id not in taken:
            return face_id
        number += 1
