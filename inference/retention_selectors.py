"""What is still kept although its time is over."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from inference.models import FaceSearch, MediaAsset, SwapJob

Status = MediaAsset.Status


@dataclass(frozen=True, slots=True)
class OverdueMedia:
    """Counts of what should be gone for longer than RETENTION_GRACE_S.

    Attributes:
        uploads: complete ones whose time is over and that no open job needs.
        announced: those whose bytes never came in time.
        half_deleted: out of use for no job's sake, with bytes that may still be there.
        faces: searches whose faces should be forgotten.
    """

    uploads: int
    announced: int
    half_deleted: int
    faces: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.uploads + self.announced + self.half_deleted + self.faces


def overdue_media(*, now: dt.datetime | None = None) -> OverdueMedia:
    """Count what the purge should have removed. Four queries, each by an index of what is open."""
    before = (now or timezone.now()) - dt.timedelta(seconds=settings.RETENTION_GRACE_S)
    open_jobs = SwapJob.objects.filter(finished_at__isnull=True)
    of_asset = Q(quote__source=OuterRef("pk")) | Q(quote__target=OuterRef("pk"))
    of_search = Q(quote__source=OuterRef("asset")) | Q(quote__target=OuterRef("asset"))
    assets = MediaAsset.objects.all()
    ready = assets.filter(status=Status.READY, expires_at__lt=before)
    faces = FaceSearch.objects.filter(status=FaceSearch.Status.DONE, expires_at__lt=before)
    # Of a deletion only the beginning of the upload's life is known, and its end.
    half = assets.filter(status=Status.DELETING, created_at__lt=before)
    return OverdueMedia(
        uploads=ready.filter(~Exists(open_jobs.filter(of_asset))).count(),
        announced=assets.filter(status=Status.PENDING_UPLOAD, upload_expires_at__lt=before).count(),
        half_deleted=half.count(),
        faces=faces.filter(~Exists(open_jobs.filter(of_search))).count(),
    )
