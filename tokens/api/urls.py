"""Routes of the tokens API."""

from django.urls import path

from tokens.api.views import (
    approvals,
    balance,
    claims,
    policies,
    recharge_actions,
    recharges,
    sandbox,
)

urlpatterns = [
    path("approvals", approvals.ApprovalListView.as_view(), name="approvals"),
    path("approvals/<uuid:request_id>", approvals.ApprovalView.as_view(), name="approval"),
    path(
        "approvals/<uuid:request_id>/votes",
        approvals.ApprovalVoteView.as_view(),
        name="approval-votes",
    ),
    path(
        "approvals/<uuid:request_id>/answer",
        approvals.ApprovalAnswerView.as_view(),
        name="approval-answer",
    ),
    path("approval-policies", policies.PolicyListView.as_view(), name="approval-policies"),
    path(
        "approval-policies/<uuid:policy_id>",
        policies.PolicyView.as_view(),
        name="approval-policy",
    ),
    path(
        "approval-policy-changes",
        policies.PolicyChangeListView.as_view(),
        name="policy-changes",
    ),
    path(
        "approval-policy-changes/<uuid:change_id>",
        policies.PolicyChangeView.as_view(),
        name="policy-change",
    ),
    path(
        "approval-policy-changes/<uuid:change_id>/votes",
        policies.PolicyChangeVoteView.as_view(),
        name="policy-change-votes",
    ),
    path(
        "approval-policy-changes/<uuid:change_id>/recall",
        policies.PolicyChangeRecallView.as_view(),
        name="policy-change-recall",
    ),
    path("balance", balance.BalanceView.as_view(), name="balance"),
    path("daily-claim", claims.DailyClaimView.as_view(), name="daily-claim"),
    path("sandbox/refill", sandbox.SandboxRefillView.as_view(), name="sandbox-refill"),
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
    path(
        "recharge-batches:preview",
        recharges.RechargePreviewView.as_view(),
        name="recharge-preview",
    ),
    path(
        "recharge-batches/<uuid:batch_id>/failures.csv",
        recharges.RechargeFailuresView.as_view(),
        name="recharge-failures",
    ),
    *(
        path(f"recharge-batches/<uuid:batch_id>:{name}", view.as_view(), name=f"recharge-{name}")
        for name, view in (
            ("pause", recharge_actions.PauseView),
            ("resume", recharge_actions.ResumeView),
            ("stop", recharge_actions.StopView),
            ("retry-failed", recharge_actions.RetryView),
            ("reverse", recharge_actions.ReverseView),
        )
    ),
]
