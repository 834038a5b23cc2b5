"""Expected failures around faces that are named in requests."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class FacesNotRequestedError(DomainError):
    """Nobody asked for the faces of this upload yet."""

    code = "faces_not_requested"
    http_status = 404
    title = _("The faces of this upload were never asked for")
    next_step = _("Ask for them with POST at the same address, then read them.")


class FacesNotReadyError(DomainError):
    """The search for faces is still under way, or it failed."""

    code = "faces_not_ready"
    http_status = 409
    title = _("The faces of this upload are not known yet")
    next_step = _("Ask for the faces of the upload and wait until their state is “done”.")
    retryable = True


class FacesExpiredError(DomainError):
    """The faces were forgotten after their time."""

    code = "faces_expired"
    http_status = 409
    title = _("The faces of this upload have expired")
    next_step = _("Ask for the faces of the upload again; the same faces get the same ids.")


class FaceNotFoundError(DomainError):
    """No face with this id in the upload that it should be in."""

    code = "face_not_found"
    http_status = 404
    title = _("No such face")
    next_step = _("Take the ids from the faces of the uploads that the request names.")


class InvalidMappingError(DomainError):
    """The mapping says something twice, or leaves something out."""

    code = "invalid_mapping"
    http_status = 422
    title = _("The mapping of faces makes no sense")
    next_step = _("Correct or leave out the option that “param” names.")


CASTING_ERRORS: Final = (
    FacesNotRequestedError,
    FacesNotReadyError,
    FacesExpiredError,
    FaceNotFoundError,
    InvalidMappingError,
)
