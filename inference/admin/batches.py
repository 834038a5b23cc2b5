"""Batches of jobs: what was ordered at once, and how far it is."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from inference import batch_selectors
from inference.admin.base import InferenceModelAdmin
from inference.models import JobBatch, SwapJob


@admin.register(JobBatch)
class JobBatchAdmin(InferenceModelAdmin[JobBatch]):
    """One line for each order of many jobs; its jobs are one click away."""

    list_display = (
        "id",
        "owner",
        "mode",
        "rows_count",
        "accepted_count",
        "tokens",
        "progress",
        "jobs_link",
        "created_at",
    )
    list_filter = ("mode",)
    list_select_related = ("owner",)
    fields = (
        "id",
        "owner",
        "mode",
        "rows_count",
        "accepted_count",
        "tokens",
        "progress",
        "jobs_link",
        "refused_rows",
        "idempotency_key",
        "created_at",
    )
    readonly_fields = fields

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Count the jobs of the whole page at once instead of row by row."""
        changelist = super().get_changelist_instance(request)
        batches: list[JobBatch] = list(changelist.result_list)
        counts = batch_selectors.job_counts(batch_ids=[batch.pk for batch in batches])
        for batch in batches:
            batch.page_counts = counts[batch.pk]  # type: ignore[attr-defined]  # for progress
        changelist.result_list = batches
        return changelist

    @admin.display(description=_("jobs by state"))
    def progress(self, batch: JobBatch) -> str:
        counts: dict[str, int] | None = getattr(batch, "page_counts", None)
        if counts is None:
            counts = batch_selectors.job_counts(batch_ids=[batch.pk])[batch.pk]
        states = [
            f"{SwapJob.Status(state).label} {count:,}" for state, count in counts.items() if count
        ]
        return ", ".join(states) or "—"

    @admin.display(description=_("its jobs"))
    def jobs_link(self, batch: JobBatch) -> SafeString:
        url = f"{reverse('admin:inference_swapjob_changelist')}?batch__id__exact={batch.pk}"
        return format_html('<a class="underline" href="{}">{}</a>', url, _("show"))

    @admin.display(description=_("refused rows"))
    def refused_rows(self, batch: JobBatch) -> SafeString | str:
        """Number, code and reason of each; a dash where none was refused."""
        rows = [(row.get("row"), row.get("code"), row.get("detail", "")) for row in batch.refusals]
        if not rows:
            return "—"
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{} · {} · {}</li>", rows))
