"""Faces of uploads: asked for once, found by a worker, forgotten on demand."""

from __future__ import annotations

import uuid

import structlog

from facefusion_site.common.celery import send_on_commit
from inference import face_selectors, face_transitions, selectors, storage, tasks
from inference.face_selectors import FaceSet

log = structlog.get_logger(__name__)


def request_faces(*, owner_id: int, asset_id: uuid.UUID) -> FaceSet:
    """Have a worker find the faces of an upload, unless they are known or being looked for.

    Free. A search that failed, or whose faces have expired, is begun again. Owns its transaction;
    the message leaves after the commit, and the sweep sends it again if it is lost.

    Raises:
        AssetNotFoundError: there is no such upload, or it is somebody else's.
    """
    upload = selectors.asset(owner_id=owner_id, asset_id=asset_id)
    search, is_due = face_transitions.request(asset=upload)
    if is_due:
        send_on_commit(tasks.find_faces, search_id=str(search.pk))
        log.info("inference.faces.requested", asset_id=str(asset_id))
    return face_selectors.face_set(search)


def forget_faces(*, owner_id: int, asset_id: uuid.UUID) -> None:
    """Delete all that is known of the faces of an upload, and stop a search that is under way.

    A job that names these faces and has not begun will fail with a full refund.

    Raises:
        AssetNotFoundError: there is no such upload, or it is somebody else's.
    """
    upload = selectors.asset(owner_id=owner_id, asset_id=asset_id)
    if face_transitions.forget(asset_id=upload.pk):
        storage.delete_faces(asset_id=upload.pk)
        log.info("inference.faces.forgotten", asset_id=str(asset_id))
