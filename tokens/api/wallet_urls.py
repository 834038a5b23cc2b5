"""Routes of wallets and adjustments.

A ``user_ref`` may contain a colon, so the steps follow a slash here.
"""

from django.urls import path

from tokens.api.views import wallets

urlpatterns = [
    path("wallets/<str:user_ref>", wallets.WalletView.as_view(), name="wallet"),
    path("wallets/<str:user_ref>/freeze", wallets.WalletFreezeView.as_view(), name="wallet-freeze"),
    path(
        "wallets/<str:user_ref>/unfreeze",
        wallets.WalletUnfreezeView.as_view(),
        name="wallet-unfreeze",
    ),
    path("wallets/<str:user_ref>/close", wallets.WalletCloseView.as_view(), name="wallet-close"),
    path("adjustments", wallets.AdjustmentListView.as_view(), name="adjustments"),
    path("adjustments/<uuid:adjustment_id>", wallets.AdjustmentView.as_view(), name="adjustment"),
]
