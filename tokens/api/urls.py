"""Routes of the tokens API."""

from django.urls import path

from tokens.api.views import balance, recharges

urlpatterns = [
    path("balance", balance.BalanceView.as_view(), name="balance"),
    path("statement", balance.StatementView.as_view(), name="statement"),
    path("recharge-batches", recharges.RechargeBatchListView.as_view(), name="recharge-batches"),
    path(
        "recharge-batches/<uuid:batch_id>",
        recharges.RechargeBatchView.as_view(),
        name="recharge-batch",
    ),
    path(
        "recharge-batches/<uuid:batch_id>/lines",
        recharges.RechargeLineListView.as_view(),
        name="recharge-lines",
    ),
]
