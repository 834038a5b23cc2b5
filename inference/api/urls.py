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
    path("quotes", views.QuoteListView.as_view(), name="quotes"),
    path("quotes/<uuid:quote_id>", views.QuoteView.as_view(), name="quote"),
    path("jobs", views.JobListView.as_view(), name="jobs"),
    path("jobs/<uuid:job_id>", views.JobView.as_view(), name="job"),
    path("jobs/<uuid:job_id>/result", views.JobResultView.as_view(), name="job-result"),
    path("jobs/<uuid:job_id>/thumbnail", views.JobThumbnailView.as_view(), name="job-thumbnail"),
]
