"""Uploads, quotes and swap jobs."""

from inference.models.batches import JobBatch
from inference.models.faces import AssetFace, FaceSearch
from inference.models.jobs import OPEN_STATUSES, UNSTARTED_STATUSES, SwapJob
from inference.models.media import MediaAsset
from inference.models.meters import JobMeter
from inference.models.quotes import SwapQuote
from inference.models.releases import ReleasedFile
from inference.models.reports import JobDay
from inference.models.segments import SwapSegment
from inference.models.workers import Worker

__all__ = [
    "OPEN_STATUSES",
    "UNSTARTED_STATUSES",
    "AssetFace",
    "FaceSearch",
    "JobBatch",
    "JobDay",
    "JobMeter",
    "MediaAsset",
    "ReleasedFile",
    "SwapJob",
    "SwapQuote",
    "SwapSegment",
    "Worker",
]
