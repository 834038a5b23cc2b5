from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InferenceConfig(AppConfig):
    """Uploads, quotes, jobs and the pipeline that runs them."""

    name = "inference"
    verbose_name = _("Face swaps")

    def ready(self) -> None:
        """Follow what trust decides."""
        # Models are there only now.
        from inference import checks, receivers  # noqa: F401, PLC0415
        from trust import signals  # noqa: PLC0415

        signals.consent_revoked.connect(
            receivers.follow_revocation, dispatch_uid="inference.follow_revocation"
        )
        signals.hash_blocked.connect(receivers.follow_block, dispatch_uid="inference.follow_block")
