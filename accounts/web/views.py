"""Signing in and out, for people."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse

from accounts.web.forms import SignInForm
from facefusion_site.common import limits
from facefusion_site.common.errors import DomainError


class SignInView(LoginView):
    """The one sign-in page: studio and console both send their visitors here."""

    template_name = "account/login.html"
    authentication_form = SignInForm

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the limit, then the password."""
        try:
            limits.check(request, group="login", rate="LOGIN_RATE", key="ip", is_fail_open=False)
        except DomainError as error:
            return self._refuse(error)
        return super().post(request, *args, **kwargs)

    def _refuse(self, error: DomainError) -> HttpResponse:
        context = self.get_context_data(form=SignInForm(self.request), refusal=error)
        response = self.render_to_response(context, status=error.http_status)
        response["Retry-After"] = str(error.context["retry_after_s"])
        return response
