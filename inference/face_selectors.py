"""Read queries of faces; everything is limited to one owner."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from inference import selectors
from inference.face_errors import (
    FaceNotFoundError,
    FacesExpiredError,
    FacesNotReadyError,
    FacesNotRequestedError,
)
from inference.models import AssetFace, FaceSearch, MediaAsset
from inference.types import FACE_MODEL_SET


@dataclass(frozen=True, slots=True)
class FaceSet:
    """A search and what it found; without the embeddings, which nobody is shown."""

    search: FaceSearch
    faces: Sequence[AssetFace]


def faces(*, owner_id: int, asset_id: uuid.UUID) -> FaceSet:
    """The faces of an upload of the owner.

    Raises:
        AssetNotFoundError: there is no such upload, or it is somebody else's.
        FacesNotRequestedError: nobody asked for its faces yet.
    """
    upload = selectors.asset(owner_id=owner_id, asset_id=asset_id)
    search = FaceSearch.objects.filter(asset=upload, model_set=FACE_MODEL_SET).first()
    if search is None:
        raise FacesNotRequestedError(_("Nobody has asked for the faces of this upload yet."))
    return face_set(search)


def face_set(search: FaceSearch) -> FaceSet:
    """A search with what it found."""
    found = AssetFace.objects.filter(search=search).order_by("index").defer("embedding")
    return FaceSet(search=search, faces=list(found))


def face(*, owner_id: int, asset_id: uuid.UUID, face_id: uuid.UUID) -> AssetFace:
    """One face of an upload of the owner.

    Raises:
        AssetNotFoundError: there is no such upload, or it is somebody else's.
        FaceNotFoundError: the upload has no such face, or it was forgotten.
    """
    upload = selectors.asset(owner_id=owner_id, asset_id=asset_id)
    found = AssetFace.objects.filter(pk=face_id, search__asset=upload).defer("embedding").first()
    if found is None:
        raise FaceNotFoundError(_("This upload has no face with this id."))
    return found


def known_faces(*, asset: MediaAsset, param: str) -> FaceSet:
    """The faces of an upload, where a request needs them.

    Raises:
        FacesNotReadyError: nobody asked for them, the search is under way, or it failed.
        FacesExpiredError: they were forgotten after their time.
    """
    search = FaceSearch.objects.filter(asset=asset, model_set=FACE_MODEL_SET).first()
    asset_id = str(asset.pk)
    if search is not None and search.status == FaceSearch.Status.EXPIRED:
        raise FacesExpiredError(
            _("The faces of an upload have expired."), param=param, asset_id=asset_id
        )
    if search is None or search.status != FaceSearch.Status.DONE:
        raise FacesNotReadyError(
            _("The faces of an upload are not known yet."), param=param, asset_id=asset_id
        )
    return face_set(search)
