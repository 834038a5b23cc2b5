"""Pages on which a recharge is prepared: rows, terms, verdicts, preview, signature."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from accounts import console_permissions, second_factor, step_up
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.unfold import display
from tokens import draft_selectors, services
from tokens.admin_base import LedgerModelAdmin
from tokens.decision_pages import factor_at, refuse
from tokens.draft_errors import DraftNotFoundError
from tokens.draft_forms import RowsForm, SubmitForm, TermsForm
from tokens.models import CreditLot, RechargeDraft, RechargeDraftRow
from tokens.recharge_lists import TEMPLATE_COLUMNS, template_csv, template_xlsx
from tokens.verdict_texts import verdict_text

Status = RechargeDraft.Status
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@admin.register(RechargeDraft)
class RechargeDraftAdmin(LedgerModelAdmin[RechargeDraft]):
    """One's own drafts; those of others are nobody's business until they are submitted."""

    list_display = (
        "created_at",
        "label",
        "source",
        "status_label",
        "rows_count",
        "failed_count",
        "tokens_total",
        "batch",
    )
    list_filter = ("status",)
    list_select_related = ("batch",)
    search_fields = ("name", "reason", "ticket", "=content_sha256")
    ordering = ("-created_at",)

    @admin.display(description=_("rows from"))
    def label(self, draft: RechargeDraft) -> str:
        """The name of the file, or where the rows came from."""
        return draft.name or draft.get_source_display()

    @display(
        description=_("status"),
        ordering="status",
        label={
            Status.OPEN: "info",
            Status.CHECKING: "info",
            Status.CHECKED: "warning",
            Status.UNREADABLE: "danger",
            Status.SUBMITTED: "success",
        },
    )
    def status_label(self, draft: RechargeDraft) -> tuple[str, str]:
        """As a coloured badge."""
        return draft.status, draft.get_status_display()

    def has_view_permission(self, request: HttpRequest, obj: RechargeDraft | None = None) -> bool:
        """Whoever makes recharges."""
        return console_permissions.may(request.user, Scope.RECHARGES_WRITE)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As the pages."""
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RechargeDraft]:
        """One's own."""
        return super().get_queryset(request).filter(maker_id=actor_id(request))

    def get_urls(self) -> list[URLPattern]:
        """The steps of the preparation, in front of Django's own pages."""
        guard = self.admin_site.admin_view
        steps = [
            path("new/", guard(self.new), name="tokens_rechargedraft_new"),
            path("template/<str:language>.<str:kind>", guard(self.template), name=TEMPLATE),
            path("<uuid:draft_id>/terms/", guard(self.terms), name="tokens_rechargedraft_terms"),
            path("<uuid:draft_id>/rows/", guard(self.rows), name="tokens_rechargedraft_rows"),
            path("<uuid:draft_id>/state", guard(self.state), name="tokens_rechargedraft_state"),
        ]
        return [*steps, *super().get_urls()]

    def new(self, request: HttpRequest) -> HttpResponse:
        """Bring the rows, and say on which terms."""
        self._guard(request)
        rows = RowsForm(
            request.POST or None,
            request.FILES or None,
            initial={"text": request.GET.get("user_ref", "")},
        )
        terms = TermsForm(request.POST or None)
        if rows.is_valid() & terms.is_valid():
            try:
                draft_id = _start(rows, maker_id=actor_id(request))
                services.give_terms(
                    draft_id=draft_id, maker_id=actor_id(request), terms=terms.terms()
                )
            except DomainError as error:
                refuse(rows, error)
            else:
                return _to("change", draft_id)
        context = {"rows_form": rows, "terms_form": terms, "languages": list(TEMPLATE_COLUMNS)}
        return self._page(request, "tokens/draft_new.html", _("Bulk recharge"), context)

    def terms(self, request: HttpRequest, draft_id: uuid.UUID) -> HttpResponse:
        """Give the draft its terms, or other ones; all rows are checked against them."""
        draft = self._own(request, draft_id)
        form = TermsForm(request.POST) if request.method == "POST" else TermsForm.of(draft)
        if form.is_bound and form.is_valid():
            try:
                services.give_terms(draft_id=draft.pk, maker_id=draft.maker_id, terms=form.terms())
            except DomainError as error:
                refuse(form, error)
            else:
                return _to("change", draft.pk)
        context = {"draft": draft, "terms_form": form}
        return self._page(request, "tokens/draft_terms.html", _("Terms of the recharge"), context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The draft: its check, its preview, and the signature that submits it."""
        draft = self._own(request, object_id)
        if draft.batch_id is not None:
            page = reverse("admin:tokens_rechargebatch_change", args=[draft.batch_id])
            return HttpResponseRedirect(page)
        if draft.status == Status.OPEN:
            return _to("terms", draft.pk)
        is_proven = step_up.session_proven_at(request) is not None
        form = SubmitForm(
            request.POST if request.method == "POST" else None,
            is_proven=is_proven,
            initial={"batch_sha256": draft.batch_sha256},
        )
        if form.is_bound and form.is_valid():
            try:
                receipt = services.submit_draft(
                    draft_id=draft.pk,
                    maker_id=draft.maker_id,
                    batch_sha256=form.cleaned_data["batch_sha256"],
                    second_factor_at=factor_at(request, form.cleaned_data["code"]),
                )
            except DomainError as error:
                refuse(form, error)
            else:
                messages.success(request, _("Submitted; this page says what becomes of it."))
                page = reverse("admin:tokens_rechargebatch_change", args=[receipt.batch_id])
                return HttpResponseRedirect(page)
        return self._page(
            request, "tokens/draft.html", _("Bulk recharge"), self._preview(request, draft, form)
        )

    def rows(self, request: HttpRequest, draft_id: uuid.UUID) -> HttpResponse:
        """The rows in pages, by verdict and code."""
        draft = self._own(request, draft_id)
        verdict, code = request.GET.get("verdict", ""), request.GET.get("code", "")
        if verdict not in {"", *RechargeDraftRow.Verdict.values}:
            raise Http404
        number = request.GET.get("page", "1")
        page = draft_selectors.draft_rows(
            draft=draft,
            number=int(number) if number.isascii() and number.isdigit() else 1,
            verdict=verdict,
            code=code[:32],
        )
        figures = draft_selectors.figures(draft=draft)
        context = {
            "draft": draft,
            "page": page,
            "rows": [(row, verdict_text(row.code)) for row in page],
            "verdict": verdict,
            "code": code,
            "verdicts": RechargeDraftRow.Verdict.choices,
            "codes": [
                (it.code, verdict_text(it.code).text, it.rows)
                for it in (() if figures is None else figures.codes)
            ],
        }
        return self._page(request, "tokens/draft_rows.html", _("Rows of the draft"), context)

    def state(self, request: HttpRequest, draft_id: uuid.UUID) -> JsonResponse:
        """Whether the check has ended; asked again and again by the page."""
        draft = self._own(request, draft_id)
        is_done = draft.status != Status.CHECKING
        return JsonResponse({"is_done": is_done, "text": draft.get_status_display()})

    def template(self, request: HttpRequest, language: str, kind: str) -> HttpResponse:
        """An empty table to fill in."""
        self._guard(request)
        if language not in TEMPLATE_COLUMNS or kind not in {"csv", "xlsx"}:
            raise Http404
        is_csv = kind == "csv"
        content = (template_csv if is_csv else template_xlsx)(language=language)
        response = HttpResponse(
            content, content_type="text/csv; charset=utf-8" if is_csv else XLSX_TYPE
        )
        response["Content-Disposition"] = f'attachment; filename="recharge-{language}.{kind}"'
        return response

    def _preview(
        self, request: HttpRequest, draft: RechargeDraft, form: SubmitForm
    ) -> dict[str, Any]:
        figures = draft_selectors.figures(draft=draft)
        context: dict[str, Any] = {
            "draft": draft,
            "figures": figures,
            "same_file": draft_selectors.same_file(draft=draft),
            "submit_form": form,
            "has_authenticator": second_factor.state(user_id=draft.maker_id).is_enrolled,
            "second_factor_url": f"{reverse('second-factor')}?next={request.path}",
        }
        if figures is None:
            return context
        is_refused = draft.mode == "ATOMIC" and draft.failed_count > 0
        return context | {
            "is_refused": is_refused,
            "good_count": draft.rows_count - draft.failed_count,
            "policies": services.expected_policies(draft=draft),
            "balance_after": figures.balance_before + draft.tokens_total,
            "liability_after": figures.liability_before + draft.tokens_total,
            "codes": [(it.code, verdict_text(it.code), it.rows) for it in figures.codes],
            "categories": [
                (CreditLot.Category[it.category].label, it) for it in figures.categories
            ],
        }

    def _guard(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _own(self, request: HttpRequest, draft_id: uuid.UUID | str) -> RechargeDraft:
        self._guard(request)
        try:
            return draft_selectors.draft(
                draft_id=uuid.UUID(str(draft_id)), maker_id=actor_id(request)
            )
        except (DraftNotFoundError, ValueError) as error:
            raise Http404 from error

    def _page(
        self, request: HttpRequest, template: str, title: object, context: dict[str, Any]
    ) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        return render(request, template, {**shared, **context})


TEMPLATE = "tokens_rechargedraft_template"


def _start(form: RowsForm, *, maker_id: int) -> uuid.UUID:
    data = form.cleaned_data
    if data["file"]:
        return services.draft_from_file(
            maker_id=maker_id,
            name=data["file"].name,
            # One byte more than is allowed tells that it is too many.
            content=data["file"].read(settings.RECHARGE_DRAFT_BYTES_MAX + 1),
        )
    if data["segment"]:
        return services.draft_from_segment(maker_id=maker_id, segment_id=data["segment"].pk)
    return services.draft_from_list(maker_id=maker_id, text=data["text"])


def _to(step: str, draft_id: uuid.UUID) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse(f"admin:tokens_rechargedraft_{step}", args=[draft_id]))
