"""What staff do on a customer's page: each a page with a form that asks why."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import freeze_selectors, services, step_up, webhook_selectors
from accounts.errors import FreezeNotFoundError
from accounts.freeze_types import AppealState, FreezeKind
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.trail import record_row, state_of
from facefusion_site.customers.forms import (
    AppealForm,
    FreezeForm,
    NoteForm,
    ReasonForm,
    RefundForm,
)
from facefusion_site.customers.page import customer_or_404
from inference import selectors as inference_selectors
from inference.errors import JobNotFoundError
from inference.services import refunds

if TYPE_CHECKING:
    from accounts.models import User

require_form = require_http_methods(["GET", "HEAD", "POST"])


@require_form
def freeze(request: HttpRequest, user_ref: str) -> HttpResponse:
    """Freeze one kind of thing."""
    user = customer_or_404(user_ref)
    kind = request.GET.get("kind", FreezeKind.SPEND)
    form = FreezeForm(request.POST or None, needs_proof=False, initial={"kind": kind})

    def act() -> None:
        services.freeze_account(
            user_id=user.pk,
            kind=FreezeKind(form.cleaned_data["kind"]),
            grounds=form.grounds(),
            actor_id=actor_id(request),
            expires_at=form.until(),
        )

    return _form_page(request, user, form, act, title=_("Freeze the account"))


@require_form
def lift(request: HttpRequest, user_ref: str, freeze_id: uuid.UUID) -> HttpResponse:
    """End one freeze."""
    user = customer_or_404(user_ref)
    row = _freeze_of(user, freeze_id)
    form = ReasonForm(request.POST or None, needs_proof=False)

    def act() -> None:
        services.lift_freeze(
            freeze_id=freeze_id, reason=form.cleaned_data["reason"], actor_id=actor_id(request)
        )

    return _form_page(request, user, form, act, title=_("Lift the freeze"), freeze=row)


@require_form
def appeal(request: HttpRequest, user_ref: str, freeze_id: uuid.UUID) -> HttpResponse:
    """Note where the appeal against a freeze stands."""
    user = customer_or_404(user_ref)
    row = _freeze_of(user, freeze_id)
    form = AppealForm(request.POST or None, needs_proof=False)

    def act() -> None:
        services.set_appeal(
            freeze_id=freeze_id,
            state=AppealState(form.cleaned_data["state"]),
            reason=form.cleaned_data["reason"],
            actor_id=actor_id(request),
        )

    return _form_page(request, user, form, act, title=_("Note an appeal"), freeze=row)


@require_form
def reset_factor(request: HttpRequest, user_ref: str) -> HttpResponse:
    """Let a person who has lost the authenticator enrol a new one."""
    user = customer_or_404(user_ref)
    form = ReasonForm(request.POST or None, needs_proof=not _is_proven(request))

    def act() -> None:
        _prove(request, form)
        services.reset_second_factor(
            user_id=user.pk, reason=form.cleaned_data["reason"], actor_id=actor_id(request)
        )

    return _form_page(request, user, form, act, title=_("Reset the second factor"))


@require_form
def refund(request: HttpRequest, user_ref: str, job_id: uuid.UUID) -> HttpResponse:
    """Give back what a job has cost."""
    user = customer_or_404(user_ref)
    try:
        detail = inference_selectors.job_detail(owner_id=user.pk, job_id=job_id)
    except JobNotFoundError as error:
        raise Http404 from error
    form = RefundForm(
        request.POST or None,
        needs_proof=not _is_proven(request),
        initial={"amount": detail.receipt.settled},
    )

    def act() -> None:
        _prove(request, form)
        refunds.refund_swap_job(
            job_id=job_id,
            amount=form.cleaned_data["amount"],
            reason=form.cleaned_data["reason"],
            actor_id=actor_id(request),
        )

    return _form_page(
        request, user, form, act, title=_("Refund the job"), part="jobs", receipt=detail.receipt
    )


@require_POST
def note(request: HttpRequest, user_ref: str) -> HttpResponse:
    """Keep a note."""
    user = customer_or_404(user_ref)
    form = NoteForm(request.POST)
    if not form.is_valid():
        messages.error(
            request, " ".join(str(text) for texts in form.errors.values() for text in texts)
        )
    else:
        services.write_note(
            user_id=user.pk, author_id=actor_id(request), text=form.cleaned_data["text"]
        )
        messages.success(request, _("The note is kept."))
    return HttpResponseRedirect(reverse("admin:customer", args=[user.user_ref]))


@require_POST
def replay(request: HttpRequest, user_ref: str, delivery_id: uuid.UUID) -> HttpResponse:
    """Send an event again, with the same id."""
    user = customer_or_404(user_ref)
    try:
        row = webhook_selectors.delivery(user_id=user.pk, delivery_id=delivery_id).delivery
        before = state_of(row)
        services.replay_delivery(user_id=user.pk, delivery_id=delivery_id)
        row = webhook_selectors.delivery(user_id=user.pk, delivery_id=delivery_id).delivery
        record_row(actor_id=actor_id(request), row=row, before=before, after=state_of(row))
    except DomainError as error:
        messages.error(request, f"{error} {error.next_step}")
    else:
        messages.success(request, _("The event will be sent again."))
    page = reverse("admin:customer", args=[user.user_ref])
    return HttpResponseRedirect(f"{page}?part=access")


def _form_page(
    request: HttpRequest,
    user: User,
    form: Any,
    act: Callable[[], None],
    *,
    title: Promise,
    part: str = "timeline",
    **more: Any,
) -> HttpResponse:
    """Show the form; or act, and go back to the customer's page."""
    back = f"{reverse('admin:customer', args=[user.user_ref])}?part={part}"
    if form.is_valid():
        try:
            act()
        except DomainError as error:
            form.add_error(None, f"{error} {error.next_step}")
        else:
            messages.success(request, _("Done; the audit trail keeps the reason."))
            return HttpResponseRedirect(back)
    context = {
        **admin.site.each_context(request),
        "title": title,
        "customer": user,
        "form": form,
        "back": back,
        "second_factor_url": f"{reverse('second-factor')}?next={request.path}",
        **more,
    }
    return render(request, "customers/act.html", context)


def _freeze_of(user: User, freeze_id: uuid.UUID) -> Any:
    try:
        row = freeze_selectors.freeze(freeze_id=freeze_id)
    except FreezeNotFoundError as error:
        raise Http404 from error
    if row.user_id != user.pk:
        raise Http404
    return row


def _prove(request: HttpRequest, form: ReasonForm) -> None:
    """Check the code of the form, where the session has not proven one lately.

    Raises:
        DomainError: the refusals of ``step_up.prove_session``.
    """
    if "proof" in form.cleaned_data:
        step_up.prove_session(request, code=form.cleaned_data["proof"].strip())


def _is_proven(request: HttpRequest) -> bool:
    return step_up.session_proven_at(request) is not None
