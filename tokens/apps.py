from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _

from accounts.signals import freeze_changed
from tokens.checks import check_grants, check_prices, check_purge


class TokensConfig(AppConfig):
    name = "tokens"
    verbose_name = _("Tokens")

    def ready(self) -> None:
        # Models are there only now.
        from tokens.receivers import follow_freeze  # noqa: PLC0415

        freeze_changed.connect(follow_freeze, dispatch_uid="tokens.follow_freeze")
        checks.register(check_prices)
        checks.register(check_grants)
        checks.register(check_purge)
