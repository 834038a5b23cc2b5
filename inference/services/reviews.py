"""Pictures of jobs for staff: blurred for everybody, clear for who asks; asking is on record."""

from __future__ import annotations

import io
import uuid
from enum import StrEnum
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _
from PIL import Image, ImageFilter

from facefusion_site.common import audit
from inference import storage
from inference.errors import AssetNotFoundError
from inference.models import MediaAsset, SwapJob

# So few pixels a side are left of a face before it is drawn large again.
_BLURRED_SIDE_PX: Final = 8
_SHOWN_SIDE_PX: Final = 96


class JobPicture(StrEnum):
    """Which picture of a job."""

    SOURCE = "source"
    TARGET = "target"
    RESULT = "result"


def blurred_picture(*, job_id: uuid.UUID, which: JobPicture) -> bytes:
    """The JPEG of a picture's thumbnail in which nobody can be recognised.

    The blur is made here: nothing of the face reaches the browser.

    Raises:
        AssetNotFoundError: there is no such job, or the picture is gone.
    """
    _job, thumbnail = _read(job_id, which)
    with Image.open(io.BytesIO(thumbnail)) as picture:
        few = picture.convert("RGB")
    few.thumbnail((_BLURRED_SIDE_PX, _BLURRED_SIDE_PX))
    width, height = few.size
    scale = _SHOWN_SIDE_PX / max(width, height)
    shown = few.resize((max(1, round(width * scale)), max(1, round(height * scale))))
    out = io.BytesIO()
    shown.filter(ImageFilter.GaussianBlur(_SHOWN_SIDE_PX / _BLURRED_SIDE_PX / 2)).save(out, "JPEG")
    return out.getvalue()


@transaction.atomic
def reveal_picture(*, job_id: uuid.UUID, which: JobPicture, actor_id: int) -> bytes:
    """The JPEG of a picture's thumbnail as it is; who looked is kept in the audit trail.

    Joins the caller's transaction, or owns one.

    Raises:
        AssetNotFoundError: there is no such job, or the picture is gone.
    """
    job, thumbnail = _read(job_id, which)
    audit.record(
        actor_id=actor_id,
        action="media.revealed",
        subject=f"user:{job.owner.user_ref}",
        before=None,
        after={"job": str(job.pk), "picture": which.value},
    )
    return thumbnail


def _read(job_id: uuid.UUID, which: JobPicture) -> tuple[SwapJob, bytes]:
    jobs = SwapJob.objects.select_related("owner", "quote__source", "quote__target")
    job = jobs.filter(pk=job_id).first()
    key = "" if job is None else _key(job, which)
    if job is None or not key:
        raise AssetNotFoundError(_("This picture is not there any more."))
    try:
        with storage.open_file(storage.thumbnail_key(key)) as file:
            return job, file.read()
    except OSError as error:
        raise AssetNotFoundError(_("This picture is not there any more.")) from error


def _key(job: SwapJob, which: JobPicture) -> str:
    if which is JobPicture.RESULT:
        return job.result_key if job.has_result else ""
    asset = job.quote.source if which is JobPicture.SOURCE else job.quote.target
    return asset.file_key if asset.status == MediaAsset.Status.READY else ""
