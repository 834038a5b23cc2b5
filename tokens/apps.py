from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _

from tokens.checks import check_grants, check_prices, check_purge


class TokensConfig(AppConfig):
    name = "tokens"
    verbose_name = _("Tokens")

    def ready(self) -> None:
        checks.register(check_prices)
        checks.register(check_grants)
        checks.register(check_purge)
