"""Routes of the books and their proof."""

from django.urls import path

from tokens.api.views import books

urlpatterns = [
    path("ledger/accounts", books.AccountsAtView.as_view(), name="ledger-accounts"),
    path("ledger/wallets/<str:user_ref>", books.WalletAtView.as_view(), name="ledger-wallet"),
    path("ledger/days", books.AccountDaysView.as_view(), name="ledger-days"),
    path("ledger/consumption", books.ConsumptionView.as_view(), name="ledger-consumption"),
    path("ledger/proof", books.ProofStatusView.as_view(), name="ledger-proof"),
    path("ledger/closed-months", books.MonthCloseListView.as_view(), name="closed-months"),
    path("reconciliation-runs", books.ReconRunListView.as_view(), name="reconciliation-runs"),
    path("seals", books.SealListView.as_view(), name="seals"),
    path("seals/statement", books.StatementOfHeadView.as_view(), name="seals-statement"),
    path("audit-events", books.AuditEventListView.as_view(), name="audit-events"),
    path("exports", books.ExportListView.as_view(), name="exports"),
    path("exports/<str:name>", books.ExportView.as_view(), name="export"),
]
