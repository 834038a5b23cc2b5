"""Signing in and out, for people."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView, RedirectURLMixin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views import View

from accounts import second_factor, services, sign_in_limits, step_up
from accounts.errors import StepUpRequiredError
from accounts.web.forms import SignInForm
from facefusion_site.common import limits
from facefusion_site.common.clients import client_address
from facefusion_site.common.errors import DomainError


class SignInView(LoginView):
    """The one sign-in page: studio and console both send their visitors here."""

    template_name = "account/login.html"
    authentication_form = SignInForm

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the limits, then the password."""
        try:
            limits.check(request, group="login", rate="LOGIN_RATE", key="ip", is_fail_open=False)
            sign_in_limits.check_account(request, name=request.POST.get("username", ""))
        except DomainError as error:
            return self._refuse(error)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in, and remember when and from where."""
        response = super().form_valid(form)
        address = client_address(self.request)
        user_id = form.get_user().pk
        assert isinstance(user_id, int), "the form has found the user"
        services.note_sign_in(
            user_id=user_id, way="PAGE", address=None if address is None else str(address)
        )
        return response

    def _refuse(self, error: DomainError) -> HttpResponse:
        context = self.get_context_data(form=SignInForm(self.request), refusal=error)
        response = self.render_to_response(context, status=error.http_status)
        response["Retry-After"] = str(error.context["retry_after_s"])
        return response


class SecondFactorView(LoginRequiredMixin, RedirectURLMixin, View):
    """Enrol an authenticator, or prove it for the next minutes of this session."""

    next_page = "second-factor"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show what the person has and what can be done."""
        return self._page(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        """One of the small forms of the page."""
        try:
            return self._act(request)
        except DomainError as error:
            return self._page(request, refusal=error, status=error.http_status)

    def _act(self, request: HttpRequest) -> HttpResponse:
        user_id = request.user.pk
        assert isinstance(user_id, int), "LoginRequiredMixin lets nobody else in"
        # Authenticator apps show and copy "123 456".
        code = "".join(request.POST.get("code", "").split())
        if request.POST.get("action") == "prove":
            step_up.prove_session(request, code=code)
            return HttpResponseRedirect(self.get_success_url())
        limits.check(request, group="step-up", rate="STEP_UP_RATE", key="user", is_fail_open=False)
        if request.POST.get("action") == "confirm":
            codes = second_factor.confirm_enrolment(user_id=user_id, code=code)
            step_up.mark_session(request)
            return self._page(request, recovery_codes=codes)
        if request.POST.get("action") == "renew":
            if step_up.session_proven_at(request) is None:
                raise StepUpRequiredError(_("Prove your second factor to go on."))
            codes = second_factor.renew_recovery_codes(user_id=user_id)
            return self._page(request, recovery_codes=codes)
        second_factor.check_password(user_id=user_id, password=request.POST.get("password", ""))
        return self._page(request, enrolment=second_factor.start_enrolment(user_id=user_id))

    def _page(self, request: HttpRequest, *, status: int = 200, **context: Any) -> HttpResponse:
        assert isinstance(request.user.pk, int), "LoginRequiredMixin lets nobody else in"
        context |= {
            "state": second_factor.state(user_id=request.user.pk),
            "proven_at": step_up.session_proven_at(request),
            "next": self.get_redirect_url(),
            "is_for_console": self.get_redirect_url().startswith(reverse("admin:index")),
        }
        response = render(request, "account/second_factor.html", context, status=status)
        # Secrets and recovery codes are shown this once.
        response["Cache-Control"] = "no-store"
        return response
