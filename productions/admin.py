"""The console's pages of productions: how far they are, and the steps that operators take."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from django.contrib import admin, messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts import selectors as accounts_selectors
from accounts import step_up
from accounts.console_permissions import may
from accounts.errors import StepUpRequiredError
from accounts.types import Scope
from facefusion_site.common.changelists import MATCHES_MAX, IndexedSearchMixin, by_uuid
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from facefusion_site.common.tables import FigureTable, figure
from facefusion_site.common.unfold import ModelAdmin, action, display
from productions import selectors, services
from productions.models import Production
from productions.reports import report_csv
from productions.row_states import state_label
from productions.types import Progress, State

_FAULTY_SHOWN: Final = 50
_PROGRESS: Final = "_progress_of_the_page"
_FAULTY_STATES: Final = ("unreadable", "refused", "failed", "blocked", "expired", "canceled")


@admin.register(Production)
class ProductionAdmin(IndexedSearchMixin, ModelAdmin[Production]):
    """Whoever may recharge funds, starts, retries, finishes and cancels for the owner."""

    list_display = (
        "name",
        "owner",
        "state_badge",
        "estimate",
        "funding_tokens",
        "is_automatic",
        "created_at",
        "finished_at",
    )
    list_filter = ("state",)
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False
    ordering = ("-created_at", "-id")
    search_fields: ClassVar[tuple[str, ...]] = ("=id", "owner__user_ref", "owner__username")
    search_help_text = _("a whole id, or how a user_ref, user name or e-mail begins")
    fields = (
        "id",
        "name",
        "owner",
        "state",
        "budget",
        "estimate",
        "funding",
        "funding_error",
        "rest",
        "books",
        "rows_by_state",
        "people",
        "faulty_rows",
        "is_automatic",
        "retries_max",
        "created_at",
        "started_at",
        "finished_at",
        "settled_at",
    )
    readonly_fields = fields
    actions_detail: ClassVar[tuple[str, ...]] = (
        "fund",
        "start",
        "retry",
        "finish",
        "cancel",
        "report",
    )

    class Media:
        css: ClassVar = {"all": ["src/css/productions.css"]}

    def matches(self, text: str) -> Q:
        """By a whole id, or by the owner."""
        owner_ids = accounts_selectors.user_ids_beginning(text=text, limit=MATCHES_MAX)
        return by_uuid(text, "pk") | Q(owner_id__in=owner_ids)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: its owner creates it, with faces and targets of their own."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Production | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Production | None = None) -> bool:
        return False

    def has_look_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self.has_view_permission(request)

    def has_recharge_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return may(request.user, Scope.RECHARGES_WRITE)

    @display(
        description=_("state"),
        ordering="state",
        label={
            State.DRAFT: "warning",
            State.ESTIMATED: "warning",
            State.AWAITING_APPROVAL: "warning",
            State.FUNDED: "info",
            State.RUNNING: "info",
            State.FINISHED: "success",
            State.CANCELED: "danger",
        },
    )
    def state_badge(self, row: Production) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @admin.display(description=_("recharge"))
    def funding(self, row: Production) -> SafeString | str:
        return _batch_link(row.funding_batch_id, row.funding_tokens)

    @admin.display(description=_("return of the rest"))
    def rest(self, row: Production) -> SafeString | str:
        return _batch_link(row.return_batch_id, None)

    @admin.display(description=_("books"))
    def books(self, row: Production) -> SafeString:
        """Every token: what came, what was spent, what went back."""
        found = _progress(row).books
        cells = (
            (_("Recharged"), found.funded),
            (_("Held for running jobs"), found.spending.held),
            (_("Spent"), found.spending.settled),
            (_("Returned"), found.returned),
            (_("Left"), found.left),
        )
        return _table(
            "books",
            _("Tokens of this production"),
            (_("account"), _("tokens")),
            [[name, figure(tokens)] for name, tokens in cells],
        )

    @admin.display(description=_("rows"))
    def rows_by_state(self, row: Production) -> SafeString:
        """How many rows are in each state."""
        states = _progress(row).states
        return _table(
            "states",
            _("Rows by state"),
            (_("state"), _("rows")),
            [[state_label(state), figure(count)] for state, count in sorted(states.items())],
        )

    @admin.display(description=_("people"))
    def people(self, row: Production) -> SafeString:
        """Each person's rows and tokens, against the quotas."""
        return _table(
            "people",
            _("People, with their quotas in brackets"),
            (_("person"), _("rows with a result"), _("tokens"), _("consent")),
            [
                [
                    person.name or person.ref,
                    _with_quota(person.states.get("succeeded", 0), person.job_quota),
                    _with_quota(person.spending.committed, person.token_quota),
                    _("yes") if person.has_consent else _("no"),
                ]
                for person in _progress(row).people
            ],
        )

    @admin.display(description=_("faulty rows"))
    def faulty_rows(self, row: Production) -> SafeString:
        """The first rows without a result, and why."""
        faulty = selectors.rows(production=row, states=_FAULTY_STATES, limit=_FAULTY_SHOWN)
        return _table(
            "faulty",
            _("The first rows that came to nothing; the report has all of them"),
            (_("row"), _("person"), _("state"), _("why")),
            [
                [str(one.row_no), one.person, state_label(one.state), one.error_detail]
                for one in faulty
            ],
            numbers_from=99,
        )

    @action(description=_("Recharge"), url_path="fund", permissions=["recharge"], icon="payments")
    def fund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for its tokens, as the maker of the recharge."""

        def send(row: Production) -> None:
            _require_second_factor(request)
            services.fund(production=row, actor_id=actor_id(request))

        text = _(
            "Recharges the owner's wallet with the budget, or with the estimate where there is no "
            "budget. Approval policies apply; you are the maker, so another one approves."
        )
        return self._step(request, object_id, send, title=_("Recharge"), text=text)

    @action(description=_("Start"), url_path="start", permissions=["recharge"], icon="play_arrow")
    def start(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make jobs of its rows."""

        def send(row: Production) -> None:
            services.start(production=row, actor_id=actor_id(request))

        text = _("Makes jobs of all rows, within consents, quotas and the recharged tokens.")
        return self._step(request, object_id, send, title=_("Start"), text=text)

    @action(description=_("Try again"), url_path="retry", permissions=["recharge"], icon="replay")
    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Rows that came to nothing."""

        def send(row: Production) -> None:
            services.retry(production=row, actor_id=actor_id(request))

        text = _("Makes new jobs of all rows that failed, expired, were canceled or refused.")
        return self._step(request, object_id, send, title=_("Try again"), text=text)

    @action(
        description=_("Finish"), url_path="finish", permissions=["recharge"], icon="check_circle"
    )
    def finish(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Give the rest back."""

        def send(row: Production) -> None:
            services.finish(production=row, actor_id=actor_id(request))

        text = _("Ends the production once every row has ended, and takes unspent tokens back.")
        return self._step(request, object_id, send, title=_("Finish"), text=text)

    @action(description=_("Cancel"), url_path="cancel", permissions=["recharge"], icon="cancel")
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stop it as it stands."""

        def send(row: Production) -> None:
            services.cancel(production=row, actor_id=actor_id(request))

        text = _(
            "Cancels all jobs that have not ended and takes unspent tokens back. Work that was "
            "done by then is charged."
        )
        return self._step(request, object_id, send, title=_("Cancel"), text=text)

    @action(description=_("Report"), url_path="report", permissions=["look"], icon="download")
    def report(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        """All rows as CSV."""
        row = get_object_or_404(Production, pk=object_id)
        return StreamingHttpResponse(
            report_csv(selectors.every_row(production=row)),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="production-{row.pk}.csv"'},
        )

    def _step(
        self,
        request: HttpRequest,
        object_id: str,
        send: Callable[[Production], None],
        *,
        title: Promise,
        text: Promise,
    ) -> HttpResponse:
        """Ask first; then act, and show the production."""
        row = get_object_or_404(Production, pk=object_id)
        faults = []
        if request.method == "POST":
            try:
                send(row)
            except DomainError as error:
                faults.append(f"{error} {error.next_step}")
            else:
                messages.success(request, _("Done."))
                return HttpResponseRedirect(
                    reverse("admin:productions_production_change", args=[row.pk])
                )
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "explanation": text,
            "opts": self.opts,
            "original": row,
            "faults": faults,
        }
        return render(request, "productions/step.html", context)


def _progress(row: Production) -> Progress:
    """Read once for all fields of a page, because it adds up every job."""
    found: Progress | None = row.__dict__.get(_PROGRESS)
    if found is None:
        found = row.__dict__[_PROGRESS] = selectors.progress(production=row)
    return found


def _batch_link(batch_id: object, tokens: int | None) -> SafeString | str:
    text = _("show the batch") if tokens is None else figure(tokens)
    if batch_id is None:
        return "—"
    url = reverse("admin:tokens_rechargebatch_change", args=[batch_id])
    return format_html('<a class="underline" href="{}">{}</a>', url, text)


def _table(
    key: str,
    caption: Promise,
    head: tuple[Promise, ...],
    rows: list[list[str | Promise]],
    *,
    numbers_from: int = 1,
) -> SafeString:
    table = FigureTable(
        key=f"production-{key}",
        caption=caption,
        head=head,
        rows=rows,
        numbers_from=numbers_from,
        texts_from=3,
        empty=_("None."),
    )
    return render_to_string("console/figures.html", {"table": table})


def _with_quota(value: int, quota: int | None) -> str:
    return figure(value) if quota is None else f"{figure(value)} ({figure(quota)})"


def _require_second_factor(request: HttpRequest) -> None:
    if step_up.session_proven_at(request) is None:
        raise StepUpRequiredError(_("Prove your second factor first."))
