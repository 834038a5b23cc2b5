"""Pages for signing in and out, and the language switch."""

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.i18n import set_language

from accounts.web.views import SecondFactorView, SignInView

urlpatterns = [
    path("login/", SignInView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("second-factor/", SecondFactorView.as_view(), name="second-factor"),
    path("language/", set_language, name="set_language"),
]
