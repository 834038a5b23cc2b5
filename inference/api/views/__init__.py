"""HTTP face of inference."""

from inference.api.views.assets import (
    AssetContentView,
    AssetListView,
    AssetThumbnailView,
    AssetView,
)
from inference.api.views.jobs import JobListView, JobResultView, JobThumbnailView, JobView
from inference.api.views.quotes import QuoteListView, QuoteView

__all__ = [
    "AssetContentView",
    "AssetListView",
    "AssetThumbnailView",
    "AssetView",
    "JobListView",
    "JobResultView",
    "JobThumbnailView",
    "JobView",
    "QuoteListView",
    "QuoteView",
]
