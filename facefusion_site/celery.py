"""The Celery application; tasks are found in the ``tasks`` module of every installed app.

Those that are interfaces, because they call services as views do, are in ``scheduled_tasks``.

Start a worker with ``celery --app facefusion_site worker`` and DJANGO_SETTINGS_MODULE set: no
default is chosen here, because every import of the package would pass it on to child processes.
Settings are read on first use.
"""

import logging.config

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep

app = Celery("facefusion_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(related_name="scheduled_tasks")
app.steps["worker"].add(DjangoStructLogInitStep)


@setup_logging.connect
def configure_logging(**_kwargs: object) -> None:
    """Give workers and beat the same log format as the web process."""
    logging.config.dictConfig(settings.LOGGING)
