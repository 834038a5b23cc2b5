"""Routes of the productions API."""

from django.urls import path

from productions.api import reading, steps, views

_ONE = "productions/<uuid:production_id>"

urlpatterns = [
    path("productions", views.ProductionListView.as_view(), name="productions"),
    path(_ONE, reading.ProductionView.as_view(), name="production"),
    path(f"{_ONE}/rows", reading.RowListView.as_view(), name="production-rows"),
    path(f"{_ONE}/report", reading.ReportView.as_view(), name="production-report"),
    path(f"{_ONE}/report.csv", reading.ReportCsvView.as_view(), name="production-report-csv"),
    path(f"{_ONE}/manifest", views.ManifestView.as_view(), name="production-manifest"),
    path(f"{_ONE}/estimate", steps.EstimateView.as_view(), name="production-estimate"),
    path(f"{_ONE}/fund", steps.FundView.as_view(), name="production-fund"),
    path(f"{_ONE}/start", steps.StartView.as_view(), name="production-start"),
    path(f"{_ONE}/retry", steps.RetryView.as_view(), name="production-retry"),
    path(f"{_ONE}/finish", steps.FinishView.as_view(), name="production-finish"),
    path(f"{_ONE}/cancel", steps.CancelView.as_view(), name="production-cancel"),
    path(
        f"{_ONE}/people/<str:person_ref>/revoke-consent",
        steps.RevokeConsentView.as_view(),
        name="production-revoke-consent",
    ),
]
