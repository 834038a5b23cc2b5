"""Faces of uploads."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import FileResponse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ScopedView
from facefusion_site.common import drf
from facefusion_site.common.errors import RateLimitedError
from facefusion_site.common.limits import limit
from facefusion_site.common.schema import problems
from inference import downloads, face_selectors, services
from inference.api import face_schema, schema, serializers
from inference.api.negotiation import AnyAcceptNegotiation
from inference.errors import AssetNotFoundError
from inference.face_errors import FaceNotFoundError, FacesNotRequestedError
from inference.face_selectors import FaceSet
from inference.job_errors import InputsMissingError
from inference.media_errors import AssetDeletedError
from inference.models import FaceSearch

_OPEN: Final = (FaceSearch.Status.QUEUED, FaceSearch.Status.RUNNING)
_REFUSALS: Final = (AssetNotFoundError, AssetDeletedError, InputsMissingError)
_POLL_AFTER_S: Final = "1"


class AssetFacesView(ScopedView):
    """The faces of one upload."""

    scopes = {"GET": "media:read", "POST": "media:write", "DELETE": "media:write"}

    @extend_schema(
        operation_id="faces_find",
        summary="Find the faces of an upload",
        tags=["faces"],
        request=None,
        responses={
            200: serializers.FaceSetSerializer,
            202: serializers.FaceSetSerializer,
            **problems(*_REFUSALS, RateLimitedError),
        },
        examples=[face_schema.FACES_ANSWER],
    )
    @limit(group="faces", rate="FACES_RATE", key="user")
    def post(self, request: Request, asset_id: uuid.UUID) -> Response:
        """Free. 200 with the faces where they are known; else 202, then poll the same address."""
        found = services.request_faces(owner_id=drf.user_id(request), asset_id=asset_id)
        answer = _answer(request, found)
        if found.search.status in _OPEN:
            answer.status_code = status.HTTP_202_ACCEPTED
            answer["Location"] = request.path
        return answer

    @extend_schema(
        operation_id="faces_get",
        summary="Read the faces of an upload",
        tags=["faces"],
        responses={
            200: serializers.FaceSetSerializer,
            **problems(*_REFUSALS, FacesNotRequestedError),
        },
        examples=[face_schema.FACES_ANSWER],
    )
    def get(self, request: Request, asset_id: uuid.UUID) -> Response:
        """While the search is under way, ``Retry-After`` says when to look again."""
        found = face_selectors.faces(owner_id=drf.user_id(request), asset_id=asset_id)
        return _answer(request, found)

    @extend_schema(
        operation_id="faces_forget",
        summary="Forget the faces of an upload",
        tags=["faces"],
        responses={204: None, **problems(*_REFUSALS)},
    )
    def delete(self, request: Request, asset_id: uuid.UUID) -> Response:
        """Deletes boxes, embeddings and thumbnails, and ends a search that is under way."""
        services.forget_faces(owner_id=drf.user_id(request), asset_id=asset_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class AssetFaceThumbnailView(ScopedView):
    """A small picture of one face."""

    scopes = {"GET": "media:read"}
    content_negotiation_class = AnyAcceptNegotiation

    @extend_schema(
        operation_id="faces_thumbnail",
        summary="See a face in small",
        tags=["faces"],
        responses={**schema.THUMBNAIL, **problems(*_REFUSALS, FaceNotFoundError)},
    )
    def get(self, request: Request, asset_id: uuid.UUID, face_id: uuid.UUID) -> FileResponse:
        """A JPEG of at most 160 pixels a side; only for the owner of the upload."""
        face = face_selectors.face(
            owner_id=drf.user_id(request), asset_id=asset_id, face_id=face_id
        )
        return downloads.small_picture(key=face.thumbnail_key)


def _answer(request: Request, found: FaceSet) -> Response:
    answer = Response(serializers.FaceSetSerializer(found, context={"request": request}).data)
    if found.search.status in _OPEN:
        answer["Retry-After"] = _POLL_AFTER_S
    return answer
