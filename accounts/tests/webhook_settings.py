"""Settings of workers that deliver to a receiver on this machine."""

import os

from facefusion_site.settings.test import *  # noqa: F403

OUTBOUND_PORTS = (443, int(os.environ["RECEIVER_PORT"]))
OUTBOUND_EXEMPT_NETWORKS = ("127.0.0.0/8", "::1/128")
OUTBOUND_CA_FILE = os.environ["RECEIVER_CA_FILE"]
CELERY_BEAT_SCHEDULE = {
    name: entry | {"schedule": 1.0}
    for name, entry in CELERY_BEAT_SCHEDULE.items()  # noqa: F405
    if name == "deliver-webhooks"
}
