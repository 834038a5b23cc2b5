"""What console pages have in common on which a person decides with a second factor."""

from __future__ import annotations

import datetime as dt
from typing import Any, TypeVar, cast

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts import second_factor, step_up
from facefusion_site.common.errors import DomainError
from facefusion_site.common.service_admin import actor_id
from tokens.admin_base import LedgerModelAdmin
from tokens.approvals import Obstacle

Row = TypeVar("Row", bound=Model)
OBSTACLES = {
    Obstacle.NONE: "",
    Obstacle.DECIDED: _("It is decided."),
    Obstacle.EXPIRED: _("The time to decide it has run out."),
    Obstacle.MAKER: _("You made it, so others decide it."),
    Obstacle.VOTED: _("You have voted; a vote is not changed."),
    Obstacle.ROLE: _("It is decided by other roles than yours."),
}


class DecisionPageMixin(LedgerModelAdmin[Row]):
    """A detail page with forms of its own instead of the fields of the row.

    A subclass renders ``decision_template`` from ``page_context`` and names its forms' handlers in
    ``steps``; a handler acts, or raises a ``DomainError`` that the page then shows on the form.
    """

    decision_template: str

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the row; or do what one of its forms asks for, and show it again."""
        # First, so that nobody learns which ids there are.
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = cast("Row | None", self.get_object(request, object_id))
        if row is None:
            raise Http404
        refused: dict[str, Any] = {}
        if request.method == "POST":
            done = self.act(request, row)
            if done is None:
                return HttpResponseRedirect(request.path)
            refused = done
        context = {
            **self.admin_site.each_context(request),
            "title": self.opts.verbose_name,
            "opts": self.opts,
            "original": row,
            "has_authenticator": second_factor.state(user_id=actor_id(request)).is_enrolled,
            "second_factor_url": f"{reverse('second-factor')}?next={request.path}",
            **self.page_context(request, row, refused),
        }
        return render(request, self.decision_template, context)

    def act(self, request: HttpRequest, row: Row) -> dict[str, Any] | None:
        """Do what the form asks for; None when done, or the forms that were refused by name."""
        raise NotImplementedError

    def page_context(
        self, request: HttpRequest, row: Row, refused: dict[str, Any]
    ) -> dict[str, Any]:
        """What the template shows."""
        raise NotImplementedError


def factor_at(request: HttpRequest, code: str) -> dt.datetime | None:
    """When the person proved the second factor: now by a code, or in the last minutes."""
    if code.strip():
        return step_up.prove_session(request, code=code.strip())
    return step_up.session_proven_at(request)


def refuse(form: Any, error: DomainError) -> None:
    """Show an expected failure on the form that met it."""
    form.add_error(None, f"{error} {error.next_step}")
