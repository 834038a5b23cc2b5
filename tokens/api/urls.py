"""Routes of the tokens API."""

from django.urls import path

from tokens.api import views

urlpatterns = [
    path("balance", views.BalanceView.as_view(), name="balance"),
    path("statement", views.StatementView.as_view(), name="statement"),
    path("recharge-batches", views.RechargeBatchListView.as_view(), name="recharge-batches"),
    path(
        "recharge-batches/<uuid:batch_id>",
        views.RechargeBatchView.as_view(),
        name="recharge-batch",
    ),
    path(
        "recharge-batches/<uuid:batch_id>/lines",
        views.RechargeLineListView.as_view(),
        name="recharge-lines",
    ),
]
