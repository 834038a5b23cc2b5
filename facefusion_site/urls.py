"""URL map of the whole site."""

from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from facefusion_site import error_pages, user_actions, verify_page, web
from facefusion_site.customers.console import console_urls

user_actions.install()

urlpatterns = [
    path("", web.home, name="home"),
    path("studio/", web.studio, name="studio"),
    path("verify", verify_page.VerifyPage.as_view(), name="verify"),
    path("claim", web.claim, name="claim"),
    path("", include("accounts.web.urls")),
    path("", include("trust.web.urls")),
    path("errors/", error_pages.error_list, name="error-list"),
    path("errors/<slug:code>", error_pages.error_detail, name="error-detail"),
    # One sign-in page, so one limit on guessing passwords.
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/", console_urls()),
    path("api/v1/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("accounts.api.webhook_urls")),
    path("api/v1/", include("tokens.api.urls")),
    path("api/v1/", include("tokens.api.books_urls")),
    path("api/v1/", include("tokens.api.price_urls")),
    path("api/v1/", include("tokens.api.wallet_urls")),
    path("api/v1/", include("trust.api.urls")),
    path("api/v1/", include("inference.api.urls")),
    path("api/v1/", include("promotions.api.urls")),
    path("api/v1/", include("productions.api.urls")),
    path("api/v1/", include("risk.api.urls")),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("api/<path:rest>", error_pages.no_such_api),
]

handler400 = error_pages.bad_request
handler403 = error_pages.forbidden
handler404 = error_pages.not_found
handler500 = error_pages.server_error
