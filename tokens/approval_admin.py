"""The console's pages on which batches that wait are read, asked about and decided."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import second_factor, step_up
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import display
from tokens import approval_inbox, approval_review, approval_selectors, services
from tokens.approvals import ApprovalView, VoteView
from tokens.decision_forms import AnswerForm, BulkApprovalForm, VoteForm
from tokens.decision_pages import OBSTACLES, DecisionPageMixin, factor_at, refuse
from tokens.models import ApprovalRequest

STATUS_LABELS = {
    ApprovalRequest.Status.OPEN: "warning",
    ApprovalRequest.Status.APPROVED: "success",
    ApprovalRequest.Status.REJECTED: "danger",
    ApprovalRequest.Status.EXPIRED: "danger",
}
DECIDED_TEXTS = {
    "approved": _("Approved: the batch goes on."),
    "rejected": _("Rejected: the batch moves nothing."),
    "open": _("Recorded; the request stays open."),
}


@admin.register(ApprovalRequest)
class ApprovalRequestAdmin(DecisionPageMixin[ApprovalRequest]):
    """What waits for others than its maker."""

    list_display = (
        "opened_at",
        "maker",
        "batch",
        "status_label",
        "approvals_required",
        "expires_at",
        "decided_at",
    )
    list_filter = ("status",)
    list_select_related = ("maker", "batch")
    search_fields = ("=id", "=batch__id", "maker__user_ref", "content_sha256")
    search_help_text = _("request or batch id, the maker's user_ref, or digest")
    ordering = ("-opened_at", "-id")
    decision_template = "tokens/approval_request.html"

    @display(description=_("status"), ordering="status", label=STATUS_LABELS)
    def status_label(self, request: ApprovalRequest) -> tuple[str, str]:
        """As a coloured badge."""
        return request.status, request.get_status_display()

    def get_urls(self) -> list[URLPattern]:
        """The inbox beside the list of all requests."""
        inbox = path(
            "inbox/", self.admin_site.admin_view(self.inbox), name="tokens_approvalrequest_inbox"
        )
        return [inbox, *super().get_urls()]

    def inbox(self, request: HttpRequest) -> HttpResponse:
        """What waits: in bands where it is the viewer's turn, then what waits for others."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        viewer_id = actor_id(request)
        bands, others = approval_inbox.inbox(viewer_id=viewer_id)
        sent = request.POST.get("band", "")
        forms = [
            BulkApprovalForm(
                request.POST if sent == str(number) else None, band=band, auto_id=f"id_{number}_%s"
            )
            for number, band in enumerate(bands)
        ]
        bound = next((form for form in forms if form.is_bound), None)
        if bound is not None and bound.is_valid() and self._approve(request, bound):
            return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Approvals inbox"),
            "opts": self.opts,
            "bands": list(zip(bands, forms, strict=True)),
            "mine_count": sum(len(band.cards) for band in bands),
            "others": [(card, OBSTACLES[card.view.obstacle]) for card in others],
            "sla_h": settings.APPROVAL_SLA_S / 3600,
            "has_authenticator": second_factor.state(user_id=viewer_id).is_enrolled,
            "second_factor_url": f"{reverse('second-factor')}?next={request.path}",
        }
        return render(request, "tokens/approval_inbox.html", context)

    def _approve(self, request: HttpRequest, form: BulkApprovalForm) -> bool:
        """Approve what the form names; False, and the reason on the form, when nothing was."""
        try:
            approved_count, refusals = services.approve_together(
                contents=form.contents(),
                voter_id=actor_id(request),
                second_factor_at=factor_at(request, form.cleaned_data["code"]),
            )
        except DomainError as error:
            refuse(form, error)
            return False
        for refusal in refusals:
            refuse(form, refusal)
        if approved_count:
            text = ngettext("%(count)d approved.", "%(count)d approved.", approved_count)
            messages.success(request, text % {"count": approved_count})
            for refusal in refusals:
                messages.warning(request, f"{refusal} {refusal.next_step}")
        return bool(approved_count)

    def act(self, request: HttpRequest, row: ApprovalRequest) -> dict[str, Any] | None:
        """Vote, answer or recall."""
        step = request.POST.get("step")
        if step == "vote":
            return self._vote(request, row)
        if step == "answer":
            return self._answer(request, row)
        if step == "recall":
            return self._recall(request, row)
        raise PermissionDenied

    def page_context(
        self, request: HttpRequest, row: ApprovalRequest, refused: dict[str, Any]
    ) -> dict[str, Any]:
        """The request as the viewer sees it, the batch behind it, and the forms they may use."""
        viewer_id = actor_id(request)
        view = approval_selectors.approval_request(request_id=row.pk, viewer_id=viewer_id)
        is_maker = viewer_id == row.maker_id
        is_open = view.decided_at is None and view.status != "expired"
        form = refused.get("vote")
        if form is None and view.is_my_turn:
            form = VoteForm(
                initial={"content_sha256": view.content_sha256},
                is_proven=step_up.session_proven_at(request) is not None,
            )
        return {
            "approval": view,
            "review": approval_review.review(batch_id=row.batch_id),
            "status_text": _status_text(view),
            "average": view.tokens_total // view.rows_count,
            "obstacle": OBSTACLES[view.obstacle],
            "vote_form": form,
            "votes": [
                (vote, _answer_form(vote, refused) if is_maker and is_open else None)
                for vote in view.votes
            ],
            "can_recall": is_maker and is_open,
            "recall_error": refused.get("recall"),
        }

    def _vote(self, request: HttpRequest, row: ApprovalRequest) -> dict[str, Any] | None:
        is_proven = step_up.session_proven_at(request) is not None
        form = VoteForm(request.POST, is_proven=is_proven)
        if not form.is_valid():
            return {"vote": form}
        try:
            ballot = form.ballot(second_factor_at=factor_at(request, form.cleaned_data["code"]))
            decision = services.vote_on_batch(
                request_id=row.pk, voter_id=actor_id(request), ballot=ballot
            )
        except DomainError as error:
            refuse(form, error)
            return {"vote": form}
        messages.success(request, DECIDED_TEXTS[decision.status])
        return None

    def _answer(self, request: HttpRequest, row: ApprovalRequest) -> dict[str, Any] | None:
        form = AnswerForm(request.POST)
        if not form.is_valid():
            return {"answer": form}
        try:
            services.answer_question(
                request_id=row.pk, author_id=actor_id(request), **form.cleaned_data
            )
        except DomainError as error:
            refuse(form, error)
            return {"answer": form}
        messages.success(request, _("Your answer is recorded; approvers see it here."))
        return None

    def _recall(self, request: HttpRequest, row: ApprovalRequest) -> dict[str, Any] | None:
        if actor_id(request) != row.maker_id:
            raise PermissionDenied
        try:
            services.stop_batch(batch_id=row.batch_id, actor_id=row.maker_id)
        except DomainError as error:
            return {"recall": str(error)}
        messages.success(request, _("Recalled: the batch moves nothing."))
        return None


def _answer_form(vote: VoteView, refused: dict[str, Any]) -> AnswerForm | None:
    """The form below a question without an answer; the refused one where it was for this."""
    if not vote.waits_for_answer:
        return None
    form = refused.get("answer")
    if isinstance(form, AnswerForm) and form.data.get("question_id") == str(vote.id):
        return form
    return AnswerForm(initial={"question_id": vote.id}, auto_id=f"id_{vote.id}_%s")


def _status_text(view: ApprovalView) -> str:
    if view.status == approval_selectors.BLOCKED:
        return str(_("Open, but too few people are left who may decide"))
    return str(ApprovalRequest.Status[view.status.upper()].label)
