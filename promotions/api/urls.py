"""Routes of the promotions API."""

from django.urls import path

from promotions.api import views

urlpatterns = [
    path("redemptions", views.RedemptionView.as_view(), name="redemptions"),
]
