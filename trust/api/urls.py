"""Routes of the trust API."""

from django.urls import path

from trust.api import views

urlpatterns = [
    path("consents", views.ConsentListView.as_view(), name="consents"),
    path("consents/text", views.ConsentTextView.as_view(), name="consent-text"),
    path("consents/<uuid:consent_id>", views.ConsentView.as_view(), name="consent"),
    path(
        "consents/<uuid:consent_id>/revoke",
        views.ConsentRevokeView.as_view(),
        name="consent-revoke",
    ),
    path("takedowns", views.TakedownListView.as_view(), name="takedowns"),
    path("takedowns/<slug:reference>", views.TakedownView.as_view(), name="takedown-state"),
    path("erasure-receipts", views.ErasureReceiptListView.as_view(), name="erasure-receipts"),
    path("erasure-receipts/keys", views.ErasureKeysView.as_view(), name="erasure-keys"),
    path("erasure-receipts/verify", views.ErasureVerifyView.as_view(), name="erasure-verify"),
    path(
        "erasure-receipts/<uuid:receipt_id>",
        views.ErasureReceiptView.as_view(),
        name="erasure-receipt",
    ),
]
