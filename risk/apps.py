from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RiskConfig(AppConfig):
    """Rules that find abuse in what accounts do, what they decide, and appeals against it."""

    name = "risk"
    verbose_name = _("Risk")

    def ready(self) -> None:
        from risk import receivers  # noqa: F401, PLC0415  # connects itself; needs loaded apps
