"""How large a file of an account may be, and how much it may keep: by its plan."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

from django.conf import settings

from accounts import freeze_selectors
from inference import runtime
from inference.pipeline.image_io import ImageLimits
from inference.pipeline.video.types import VideoLimits


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """What one account may upload and keep.

    Attributes:
        image: pixels and sides of a picture.
        video: bytes, pixels, seconds and frames of a video.
        image_bytes_max: of a picture as it is sent.
        stored_bytes_max: of everything that is kept.
        stored_count_max: of uploads that are kept.
        keep: how long each is kept.
    """

    image: ImageLimits
    video: VideoLimits
    image_bytes_max: int
    stored_bytes_max: int
    stored_count_max: int
    keep: dt.timedelta

    @property
    def bytes_max(self) -> int:
        """No upload of any kind may have more bytes."""
        return max(self.image_bytes_max, self.video.bytes_max)


def limits_of(*, owner_id: int) -> MediaLimits:
    """The limits of an account: of the general ones and its plan's, the smaller. One query.

    Raises:
        UploadFrozenError: the account may not upload for now.
    """
    plan = settings.MEDIA_PLAN_LIMITS[freeze_selectors.uploader_plan(user_id=owner_id)]
    general = runtime.video_limits()
    return MediaLimits(
        image=ImageLimits(
            pixels_max=min(settings.IMAGE_PIXELS_MAX, plan["image_pixels_max"]),
            side_max_px=settings.IMAGE_SIDE_MAX_PX,
        ),
        video=dataclasses.replace(
            general,
            bytes_max=min(settings.VIDEO_BYTES_MAX, plan["video_bytes_max"]),
            pixels_max=min(settings.VIDEO_PIXELS_MAX, plan["video_pixels_max"]),
            duration_max_s=min(settings.VIDEO_DURATION_MAX_S, plan["video_duration_max_s"]),
        ),
        image_bytes_max=min(settings.UPLOAD_BYTES_MAX, plan["image_bytes_max"]),
        stored_bytes_max=plan["stored_bytes_max"],
        stored_count_max=plan["stored_count_max"],
        keep=dt.timedelta(seconds=plan["keep_s"]),
    )
