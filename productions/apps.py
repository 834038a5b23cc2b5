from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProductionsConfig(AppConfig):
    """Many jobs over several people, paid from a wallet that is filled and emptied for them."""

    name = "productions"
    verbose_name = _("Productions")
