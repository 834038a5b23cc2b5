"""Settings of workers in tests: the sweep of lost batches comes every second."""

from facefusion_site.settings.test import *  # noqa: F403
from facefusion_site.settings.test import CELERY_BEAT_SCHEDULE as _SCHEDULE

CELERY_BEAT_SCHEDULE = {
    "requeue-recharge-batches": {**_SCHEDULE["requeue-recharge-batches"], "schedule": 1.0}
}
