"""Pictures of a customer's jobs: blurred first, clear for who asks."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from inference.errors import AssetNotFoundError
from inference.services import reviews
from inference.services.reviews import JobPicture


@require_safe
def blurred(request: HttpRequest, job_id: uuid.UUID, which: str) -> HttpResponse:
    """What a picture is like, without who is on it."""
    try:
        return _picture(reviews.blurred_picture(job_id=job_id, which=_which(which)))
    except AssetNotFoundError as error:
        raise Http404 from error


@require_POST
def reveal(request: HttpRequest, job_id: uuid.UUID, which: str) -> HttpResponse:
    """The picture itself; that it was looked at is kept on record."""
    assert isinstance(request.user.pk, int), "the console lets nobody in without signing in"
    try:
        data = reviews.reveal_picture(job_id=job_id, which=_which(which), actor_id=request.user.pk)
    except AssetNotFoundError as error:
        raise Http404 from error
    return _picture(data)


def _which(text: str) -> JobPicture:
    try:
        return JobPicture(text)
    except ValueError as error:
        raise Http404 from error


def _picture(data: bytes) -> HttpResponse:
    answer = HttpResponse(data, content_type="image/jpeg")
    # Somebody's face, or nearly: no cache keeps it.
    answer["Cache-Control"] = "private, no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer
