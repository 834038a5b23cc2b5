from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Who: users and their API keys."""

    name = "accounts"
    verbose_name = _("Accounts")
