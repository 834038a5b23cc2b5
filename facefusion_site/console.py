"""The menu of the console, with what waits for the person who looks at it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import may
from accounts.types import Scope
from risk import selectors as risk_selectors
from tokens import approval_selectors, policy_selectors, proof_selectors
from trust import selectors as trust_selectors


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: the pages that the viewer's role opens.

    A number beside a line says how much of it waits for the viewer's decision.
    """
    groups = [_visible(group, request) for group in _groups(request)]
    return [group for group in groups if group["items"]]


def _groups(request: HttpRequest) -> list[dict[str, Any]]:
    approvals_count, changes_count, breaks_count = _waiting(request)
    return [
        _work(),
        _tokens(approvals_count=approvals_count, changes_count=changes_count),
        _prices(),
        _books(breaks_count=breaks_count),
        _people(),
        _trust(waiting_count=_trust_waiting(request)),
        _risk(waiting_count=_risk_waiting(request)),
    ]


def _work() -> dict[str, Any]:
    return _group(
        _("Work"),
        _link(_("Overview"), icon="dashboard", view="index"),
        _link(
            _("Operations"),
            icon="speed",
            view="inference_worker_operations",
            scopes=(Scope.OPERATIONS_READ,),
        ),
        _list(_("Swap jobs"), icon="swap_horiz", model="inference_swapjob"),
        _list(_("Job batches"), icon="stacks", model="inference_jobbatch"),
        _list(_("Productions"), icon="movie", model="productions_production"),
        _list(_("Uploads"), icon="image", model="inference_mediaasset"),
        _list(_("Quotes"), icon="request_quote", model="inference_swapquote"),
        _list(_("Workers"), icon="memory", model="inference_worker"),
        _link(
            _("Models"),
            icon="neurology",
            view="inference_worker_models",
            scopes=(Scope.OPERATIONS_READ,),
        ),
    )


def _tokens(*, approvals_count: int, changes_count: int) -> dict[str, Any]:
    return _group(
        _("Tokens"),
        _list(_("Recharge batches"), icon="playlist_add", model="tokens_rechargebatch"),
        _link(
            _("Bulk recharge"),
            icon="upload_file",
            view="tokens_rechargedraft_new",
            scopes=(Scope.RECHARGES_WRITE,),
        ),
        _list(_("Recharge drafts"), icon="draft", model="tokens_rechargedraft"),
        _list(_("User segments"), icon="filter_alt", model="tokens_usersegment"),
        _link(
            _("Approvals"),
            icon="how_to_vote",
            view="tokens_approvalrequest_inbox",
            scopes=(Scope.APPROVALS_READ,),
        )
        | {"badge": approvals_count, "badge_variant": "warning"},
        _list(_("Approval policies"), icon="policy", model="tokens_approvalpolicy"),
        _list(
            _("Policy changes"),
            icon="rule",
            model="tokens_policychange",
            waiting_count=changes_count,
        ),
        _list(_("Plans"), icon="loyalty", model="tokens_planrule"),
        _list(_("Campaigns"), icon="campaign", model="promotions_campaign"),
        _list(_("Rewards"), icon="emoji_events", model="promotions_rewardrule"),
        _list(_("Wallets"), icon="wallet", model="tokens_wallet"),
        _list(_("Transfers"), icon="receipt_long", model="tokens_transfer"),
        _list(_("Holds"), icon="lock_clock", model="tokens_hold"),
        _list(_("Adjustments"), icon="tune", model="tokens_adjustment"),
    )


def _prices() -> dict[str, Any]:
    return _group(
        _("Prices"),
        _link(
            _("Price curve"),
            icon="monitoring",
            view="tokens_pricetick_curve",
            scopes=(Scope.PRICES_READ,),
        ),
        _list(_("Rate cards"), icon="sell", model="tokens_ratecard"),
        _link(
            _("Calibration"),
            icon="balance",
            view="inference_jobmeter_calibration",
            scopes=(Scope.PRICES_READ,),
        ),
    )


def _books(*, breaks_count: int) -> dict[str, Any]:
    return _group(
        _("Books"),
        _link(
            _("Reconciliation"),
            icon="balance",
            view="finance_reconciliation",
            scopes=(Scope.AUDIT_READ,),
        ),
        _link(
            _("Consumption"),
            icon="bar_chart",
            view="finance_consumption",
            scopes=(Scope.AUDIT_READ,),
        ),
        _link(
            _("Liability and expiry"),
            icon="hourglass_bottom",
            view="finance_liability",
            scopes=(Scope.AUDIT_READ,),
        ),
        _link(
            _("Months"),
            icon="event_available",
            view="finance_months",
            scopes=(Scope.AUDIT_READ,),
        ),
        _list(_("Breaks"), icon="report", model="tokens_reconbreak", waiting_count=breaks_count),
        _list(_("Exports"), icon="download", model="tokens_exportjob"),
        _list(_("Reconciliation runs"), icon="verified", model="tokens_reconrun"),
        _list(_("Audit events"), icon="history", model="tokens_auditevent"),
    )


def _people() -> dict[str, Any]:
    return _group(
        _("People"),
        _list(_("Users"), icon="group", model="accounts_user"),
        _list(_("API keys"), icon="key", model="accounts_apikey"),
        _list(_("Webhook endpoints"), icon="webhook", model="accounts_webhookendpoint"),
        _list(_("Webhook deliveries"), icon="send", model="accounts_webhookdelivery"),
    )


def _risk(*, waiting_count: int) -> dict[str, Any]:
    return _group(
        _("Risk"),
        _list(
            _("Risk decisions"),
            icon="shield_person",
            model="risk_riskdecision",
            waiting_count=waiting_count,
        ),
        _list(_("Risk rules"), icon="rule_settings", model="risk_riskrule"),
        _link(
            _("How right the rules were"),
            icon="query_stats",
            view="risk_riskrule_record",
            scopes=(Scope.FREEZES_WRITE, Scope.SUPPORT_READ),
        ),
    )


def _trust(*, waiting_count: int) -> dict[str, Any]:
    return _group(
        _("Trust"),
        _list(_("Takedowns"), icon="flag", model="trust_takedown", waiting_count=waiting_count),
        _list(_("Blocked hashes"), icon="fingerprint", model="trust_blockedhash"),
        _list(_("Consents"), icon="handshake", model="trust_consent"),
        _list(_("Receipts of erasure"), icon="delete_forever", model="trust_erasurereceipt"),
    )


def _trust_waiting(request: HttpRequest) -> int:
    """Reports that are open, for those who decide about them."""
    if not may(request.user, Scope.MEDIA_REVIEW):
        return 0
    return trust_selectors.open_takedowns().open_count


def _risk_waiting(request: HttpRequest) -> int:
    """Reviews and appeals, for those who decide about them."""
    return risk_selectors.waiting_count() if may(request.user, Scope.FREEZES_WRITE) else 0


def _waiting(request: HttpRequest) -> tuple[int, int, int]:
    """Approval requests, policy changes and breaks that wait for the viewer; none at the sign-in.

    The role is that of the user who was loaded for this request, so that a page costs three counts.
    """
    viewer_id, role = request.user.pk, getattr(request.user, "role", None)
    if not isinstance(viewer_id, int) or role is None:
        return 0, 0, 0
    return (
        approval_selectors.waiting_count(viewer_id=viewer_id, role=role),
        policy_selectors.waiting_count(viewer_id=viewer_id, role=role),
        proof_selectors.open_breaks_count() if may(request.user, Scope.BOOKS_WRITE) else 0,
    )


def _visible(group: dict[str, Any], request: HttpRequest) -> dict[str, Any]:
    """The group with the lines that the viewer can open; the pages themselves ask again."""
    items = [item for item in group["items"] if item["is_open_to"](request.user)]
    return group | {"items": items}


def _group(title: Promise, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "items": items}


def _list(title: Promise, *, icon: str, model: str, waiting_count: int = 0) -> dict[str, Any]:
    """One line: the list of a model."""
    link = _link(title, icon=icon, view=f"{model}_changelist")
    app, _underscore, name = model.partition("_")
    return link | {
        "badge": waiting_count,
        "badge_variant": "warning",
        "is_open_to": lambda user: user.has_perm(f"{app}.view_{name}"),
    }


def _link(
    title: Promise, *, icon: str, view: str, scopes: tuple[Scope, ...] = ()
) -> dict[str, Any]:
    """One line: a view of the console, for roles with one of the scopes; for all when none."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse(f"admin:{view}"),
        "is_open_to": lambda user: not scopes or may(user, *scopes),
    }
