"""The Celery application; tasks are found in the ``tasks`` module of every installed app.

Start a worker with ``celery --app facefusion_site.celery worker``. Settings are read on first use,
so importing this module costs no database, broker or settings access.
"""

import logging.config
import os

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "facefusion_site.settings.prod")

app = Celery("facefusion_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def configure_logging(**_kwargs: object) -> None:
    """Give workers and beat the same log format as the web process."""
    logging.config.dictConfig(settings.LOGGING)
