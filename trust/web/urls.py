"""Public pages of trust."""

from django.urls import path

from trust.web import views

urlpatterns = [
    path("takedown", views.TakedownPage.as_view(), name="takedown"),
    path("takedown/status", views.takedown_status, name="takedown-status"),
    path("studio/attest", views.attest, name="attest"),
]
