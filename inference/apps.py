from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InferenceConfig(AppConfig):
    """Uploads, quotes, jobs and the pipeline that runs them."""

    name = "inference"
    verbose_name = _("Face swaps")
