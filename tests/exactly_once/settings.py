"""Settings of the site that is killed: what a crash left behind is found within seconds."""

from facefusion_site.settings.test import *  # noqa: F403
from facefusion_site.settings.test import CELERY_BEAT_SCHEDULE as _SCHEDULE
from facefusion_site.settings.test import CELERY_BROKER_TRANSPORT_OPTIONS as _TRANSPORT

CELERY_BEAT_SCHEDULE = {
    "requeue-stale-jobs": {
        **_SCHEDULE["requeue-stale-jobs"],
        "schedule": 1.0,
        "options": {"expires": 5.0},
    }
}
CELERY_BROKER_TRANSPORT_OPTIONS = {**_TRANSPORT, "socket_connect_timeout": 1}
