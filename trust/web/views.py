"""Public pages: reporting a picture or video, and seeing where a report stands."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from facefusion_site.common import limits
from facefusion_site.common.errors import DomainError
from trust import selectors, services
from trust.copies import digest_of
from trust.forms import AttestForm, TakedownForm
from trust.types import ConsentKind, ConsentOrder, ConsentUse, TakedownOrder, TakedownReason


class TakedownPage(View):
    """The form that needs no account."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """An empty form."""
        return render(request, "trust/takedown.html", {"form": TakedownForm()})

    def post(self, request: HttpRequest) -> HttpResponse:
        """Receive the report, and show its reference."""
        form = None
        try:
            limits.check(
                request, group="takedowns", rate="TAKEDOWNS_RATE", key="ip", is_fail_open=True
            )
            announced = request.META.get("CONTENT_LENGTH") or ""
            digest_of(None, announced_bytes=int(announced) if announced.isdecimal() else 0)
            form = TakedownForm(request.POST, request.FILES)
            if form.is_valid():
                row = services.report(order=_order(form))
                return redirect(f"{reverse('takedown-status')}?reference={row.reference}")
        except DomainError as error:
            context = {"form": form or TakedownForm(), "refusal": error}
            return render(request, "trust/takedown.html", context, status=error.http_status)
        return render(request, "trust/takedown.html", {"form": form}, status=422)


@never_cache
@require_safe
def takedown_status(request: HttpRequest) -> HttpResponse:
    """What the reporter may know, by the reference."""
    try:
        limits.check(
            request,
            group="takedown-status",
            rate="TAKEDOWN_STATUS_RATE",
            key="ip",
            is_fail_open=True,
        )
        report = selectors.takedown(reference=request.GET.get("reference", ""))
    except DomainError as error:
        context = {"refusal": error}
        return render(request, "trust/takedown_status.html", context, status=error.http_status)
    return render(request, "trust/takedown_status.html", {"report": report})


@never_cache
@login_required
@require_POST
def attest(request: HttpRequest) -> HttpResponse:
    """Keep the person's word for her own face, and go on to the studio."""
    user_id = request.user.pk
    assert user_id is not None, "nobody comes here without signing in"
    if AttestForm(request.POST).is_valid():
        order = ConsentOrder(
            kind=ConsentKind.SELF,
            uses=tuple(ConsentUse),
            asset_ids=(),
            text_version=request.POST.get("text_version", ""),
            language=request.POST.get("language", ""),
        )
        try:
            services.attest(owner_id=user_id, actor_id=user_id, order=order)
        except DomainError as error:
            messages.error(request, f"{error} {error.next_step}")
    return redirect("studio")


def _order(form: TakedownForm) -> TakedownOrder:
    data = form.cleaned_data
    copy = data["file"]
    return TakedownOrder(
        reason=TakedownReason(data["reason"]),
        contact=data["contact"],
        statement=data["statement"],
        link=data["link"],
        sha256=data["sha256"] if copy is None else digest_of(copy),
        is_copy_sent=copy is not None,
    )
