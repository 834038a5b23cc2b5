from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TrustConfig(AppConfig):
    """Consents, takedowns, blocked files and receipts of erasure.

    It knows media by their ids and hashes alone; the apps that keep media ask it.
    """

    name = "trust"
    verbose_name = _("Trust")
