"""Screens of rows that only services write, and what their pages share."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict

from facefusion_site.common.errors import DomainError
from facefusion_site.common.unfold import ModelAdmin, Row


class ServiceAdmin(ModelAdmin[Row]):
    """A screen whose ``save_model`` calls a service, which writes the row and its audit event."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show on the same page what the service refuses and the form cannot know."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            messages.error(request, f"{error} {error.next_step}")
            return HttpResponseRedirect(request.path)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        """Nothing is saved here; audit events are the record."""
        return LogEntry()


def posted(request: HttpRequest) -> QueryDict | None:
    """What was sent: also nothing at all, where a form has no fields."""
    return request.POST if request.method == "POST" else None


def actor_id(request: HttpRequest) -> int:
    """The primary key of who is signed in."""
    assert isinstance(request.user.pk, int), "the console lets nobody in without signing in"
    return request.user.pk
