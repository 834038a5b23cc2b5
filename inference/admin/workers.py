"""Workers, the page that shows what they are up to, and the models they may load."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import may, require
from accounts.types import Scope
from facefusion_site.common.errors import DomainError
from facefusion_site.common.unfold import display
from inference import inventory, queue_selectors, services
from inference.admin.base import InferenceModelAdmin
from inference.models import Worker

_RUNNING_MAX: Final = 50
_STEPS: Final = {"drain": services.drain_worker, "resume": services.resume_worker}


@admin.register(Worker)
class WorkerAdmin(InferenceModelAdmin[Worker]):
    """Worker processes as they report themselves."""

    list_display = (
        "name",
        "state",
        "queues",
        "concurrency",
        "provider",
        "running",
        "gpu",
        "started_at",
        "seen_at",
    )
    list_filter = ("is_draining",)
    ordering = ("-seen_at", "name")
    search_fields = ("name", "host")
    search_help_text = _("name or host")
    actions = ("drain", "resume")

    def matches(self, text: str) -> Q:
        """By a part of its name or host; there are few."""
        return Q(name__icontains=text) | Q(host__icontains=text)

    def get_urls(self) -> list[URLPattern]:
        """The pages come first: the object pages would swallow their addresses."""
        view = self.admin_site.admin_view
        return [
            path("operations/", view(self.operations), name="inference_worker_operations"),
            path("models/", view(self.models), name="inference_worker_models"),
            *super().get_urls(),
        ]

    def operations(self, request: HttpRequest) -> HttpResponse:
        """What waits, what runs, and who works; a POST tells one worker to drain or go on."""
        require(request, Scope.OPERATIONS_READ)
        if request.method == "POST":
            require(request, Scope.OPERATIONS_WRITE)
            self._steer(request, request.POST.get("step", ""), [request.POST.get("worker", "")])
            return HttpResponseRedirect(reverse("admin:inference_worker_operations"))
        context = self._context(request, title=_t("Operations")) | {
            "queues": queue_selectors.queues(),
            "workers": [
                {
                    "row": worker,
                    "state": state_of(worker),
                    "is_live": queue_selectors.is_live(worker),
                }
                for worker in queue_selectors.workers()
            ],
            "jobs": queue_selectors.running_jobs(limit=_RUNNING_MAX),
            "jobs_max": _RUNNING_MAX,
            "may_operate": may(request.user, Scope.OPERATIONS_WRITE),
            "now": timezone.now(),
        }
        return TemplateResponse(request, "inference/operations.html", context)

    def models(self, request: HttpRequest) -> HttpResponse:
        """Every described model: rights, size, and whether its bytes are the recorded ones."""
        require(request, Scope.OPERATIONS_READ)
        rows = inventory.inventory()
        context = self._context(request, title=_t("Models")) | {
            "models": rows,
            "usable_count": sum(row.is_usable for row in rows),
        }
        return TemplateResponse(request, "inference/models.html", context)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whoever runs the workers; the role decides, as everywhere."""
        return may(request.user, Scope.OPERATIONS_WRITE)

    @admin.action(description=_("Drain: finish, take nothing new"), permissions=["operate"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        self._steer(request, "drain", [str(worker.pk) for worker in queryset])

    @admin.action(description=_("Let them take work again"), permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        self._steer(request, "resume", [str(worker.pk) for worker in queryset])

    @display(
        description=_("state"),
        label={"working": "success", "draining": "warning", "stopped": "info", "lost": "danger"},
    )
    def state(self, worker: Worker) -> tuple[str, str]:
        return state_of(worker)

    @admin.display(description=_("running"))
    def running(self, worker: Worker) -> str:
        return f"{worker.task} {worker.reference}".strip() or "—"

    @admin.display(description=_("GPU"))
    def gpu(self, worker: Worker) -> str:
        if worker.gpu_percent is None:
            return str(_("no GPU"))
        return f"{worker.gpu_name} · {worker.gpu_percent} %"

    def _context(self, request: HttpRequest, *, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts}

    def _steer(self, request: HttpRequest, step: str, worker_ids: Iterable[str]) -> None:
        assert isinstance(request.user.pk, int), "the console asks for a sign-in"
        for text in worker_ids:
            try:
                _STEPS[step](worker_id=uuid.UUID(text), actor_id=request.user.pk)
            except (KeyError, ValueError):
                self.message_user(request, _t("This step is not known."), messages.WARNING)
            except DomainError as error:
                self.message_user(request, f"{error} {error.next_step}", messages.WARNING)
            else:
                self.message_user(request, _SAID[step], messages.SUCCESS)


_SAID: Final = {
    "drain": _("The worker finishes what it has and takes nothing new; it may take it a moment."),
    "resume": _("The worker takes work again; it may take it a moment."),
}


def state_of(worker: Worker) -> tuple[str, str]:
    """A word for the colour and one for people."""
    if worker.stopped_at is not None:
        return "stopped", _t("stopped")
    if not queue_selectors.is_live(worker):
        return "lost", _t("lost")
    if worker.is_draining:
        return ("draining", _t("drained")) if not worker.task else ("draining", _t("draining"))
    return "working", _t("at work") if worker.task else _t("waits for work")
