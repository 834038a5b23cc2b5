"""HTTP face of inference."""

from inference.api.views.assets import (
    AssetContentView,
    AssetListView,
    AssetThumbnailView,
    AssetView,
    MediaErasureView,
)
from inference.api.views.batches import JobBatchCancelView, JobBatchListView, JobBatchView
from inference.api.views.events import JobEventsView
from inference.api.views.faces import AssetFacesView, AssetFaceThumbnailView
from inference.api.views.jobs import (
    JobCancelView,
    JobListView,
    JobResultView,
    JobRetryView,
    JobThumbnailView,
    JobView,
)
from inference.api.views.quotes import QuoteListView, QuoteView
from inference.api.views.uploads import (
    ImportListView,
    UploadCompleteView,
    UploadContentView,
    UploadListView,
)
from inference.api.views.verify import VerifyDigestView, VerifyView

__all__ = [
    "AssetContentView",
    "AssetFaceThumbnailView",
    "AssetFacesView",
    "AssetListView",
    "AssetThumbnailView",
    "AssetView",
    "ImportListView",
    "JobBatchCancelView",
    "JobBatchListView",
    "JobBatchView",
    "JobCancelView",
    "JobEventsView",
    "JobListView",
    "JobResultView",
    "JobRetryView",
    "JobThumbnailView",
    "JobView",
    "MediaErasureView",
    "QuoteListView",
    "QuoteView",
    "UploadCompleteView",
    "UploadContentView",
    "UploadListView",
    "VerifyDigestView",
    "VerifyView",
]
