"""Uploads, quotes and swap jobs."""

from inference.models.jobs import SwapJob
from inference.models.media import MediaAsset
from inference.models.quotes import SwapQuote
from inference.models.segments import SwapSegment

__all__ = ["MediaAsset", "SwapJob", "SwapQuote", "SwapSegment"]
