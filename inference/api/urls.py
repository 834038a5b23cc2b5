"""Routes of the inference API."""

from django.urls import path

from inference.api import views

urlpatterns = [
    path("assets", views.AssetListView.as_view(), name="assets"),
    path("assets/<uuid:asset_id>", views.AssetView.as_view(), name="asset"),
    path("assets/<uuid:asset_id>/content", views.AssetContentView.as_view(), name="asset-content"),
    path(
        "assets/<uuid:asset_id>/thumbnail",
        views.AssetThumbnailView.as_view(),
        name="asset-thumbnail",
    ),
    path("assets/<uuid:asset_id>/faces", views.AssetFacesView.as_view(), name="asset-faces"),
    path(
        "assets/<uuid:asset_id>/faces/<uuid:face_id>/thumbnail",
        views.AssetFaceThumbnailView.as_view(),
        name="asset-face-thumbnail",
    ),
    path("account/erase-media", views.MediaErasureView.as_view(), name="erase-media"),
    path("uploads", views.UploadListView.as_view(), name="uploads"),
    path(
        "uploads/<uuid:asset_id>/content", views.UploadContentView.as_view(), name="upload-content"
    ),
    path(
        "uploads/<uuid:asset_id>/complete",
        views.UploadCompleteView.as_view(),
        name="upload-complete",
    ),
    path("verify", views.VerifyView.as_view(), name="api-verify"),
    path("verify/<str:sha256>", views.VerifyDigestView.as_view(), name="api-verify-digest"),
    path("imports", views.ImportListView.as_view(), name="imports"),
    path("quotes", views.QuoteListView.as_view(), name="quotes"),
    path("quotes/<uuid:quote_id>", views.QuoteView.as_view(), name="quote"),
    path("jobs", views.JobListView.as_view(), name="jobs"),
    path("jobs/batches", views.JobBatchListView.as_view(), name="job-batches"),
    path("jobs/batches/<uuid:batch_id>", views.JobBatchView.as_view(), name="job-batch"),
    path(
        "jobs/batches/<uuid:batch_id>/cancel",
        views.JobBatchCancelView.as_view(),
        name="job-batch-cancel",
    ),
    path("jobs/<uuid:job_id>", views.JobView.as_view(), name="job"),
    path("jobs/<uuid:job_id>/cancel", views.JobCancelView.as_view(), name="job-cancel"),
    path("jobs/<uuid:job_id>/retry", views.JobRetryView.as_view(), name="job-retry"),
    path("jobs/<uuid:job_id>/events", views.JobEventsView.as_view(), name="job-events"),
    path("jobs/<uuid:job_id>/result", views.JobResultView.as_view(), name="job-result"),
    path("jobs/<uuid:job_id>/thumbnail", views.JobThumbnailView.as_view(), name="job-thumbnail"),
]
