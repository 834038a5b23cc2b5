"""Routes of the risk API, below ``/api/v1/``."""

from django.urls import path

from risk.api import views

urlpatterns = [
    path("risk/decisions", views.RiskDecisionListView.as_view(), name="risk-decisions"),
    path(
        "risk/decisions/<uuid:decision_id>/appeal",
        views.RiskAppealView.as_view(),
        name="risk-appeal",
    ),
]
