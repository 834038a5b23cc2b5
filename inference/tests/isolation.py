"""Worker processes of tests: on the database, the broker and the folders of the test."""

from __future__ import annotations

from django.conf import settings

from inference.isolation import IsolatedProcess
from tests.workers import database_url


def acting(act: str) -> IsolatedProcess:
    """A process whose swap does ``act``; see ``acting_child``."""
    return IsolatedProcess(
        module="inference.tests.acting_child",
        ACT=act,
        DATABASE_URL=database_url(),
        MEDIA_ROOT=str(settings.MEDIA_ROOT),
        MODELS_DIR=str(settings.MODELS_DIR),
        JOB_LEASE_S=str(settings.JOB_LEASE_S),
    )
