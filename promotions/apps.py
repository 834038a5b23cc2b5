from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PromotionsConfig(AppConfig):
    """Tokens that are given away by rule: rewards for output, and campaigns."""

    name = "promotions"
    verbose_name = _("Promotions")
