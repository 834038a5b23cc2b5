from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.core import checks
from django.utils.translation import gettext_lazy as _

from accounts.checks import check_webhooks


class AccountsConfig(AppConfig):
    """Who: users and their API keys."""

    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        """Connect what reads rows, which exist only now, and register the checks."""
        from accounts import session_limits  # noqa: PLC0415  # models are ready only here

        user_logged_in.connect(session_limits.begin, dispatch_uid="accounts.session_limits")
        checks.register(check_webhooks)
