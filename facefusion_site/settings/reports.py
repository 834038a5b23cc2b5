"""Settings of the reports and exports of the console."""

import environ
from celery.schedules import crontab

env = environ.Env()

# Exports that one person may have waiting or being written at once.
EXPORTS_AT_ONCE = env.int("EXPORTS_AT_ONCE", default=3)
# Days that the file of an export can be downloaded before it is deleted.
EXPORT_KEEP_DAYS = env.int("EXPORT_KEEP_DAYS", default=7)

REPORT_BEAT_SCHEDULE = {
    "count-jobs": {
        "task": "inference.count_jobs",
        "schedule": 300.0,
        "options": {"expires": 300.0},
    },
    # What a lost message or worker left behind.
    "requeue-exports": {
        "task": "tokens.requeue_exports",
        "schedule": 30.0,
        "options": {"expires": 30.0},
    },
    "purge-exports": {
        "task": "tokens.purge_exports",
        "schedule": crontab(minute="10"),
        "options": {"expires": 3600.0},
    },
}
