"""What the risk engine listens to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
from django.conf import settings
from django.dispatch import receiver
from numpy.typing import NDArray

from inference.signals import source_faces_seen
from risk import services


@receiver(source_faces_seen)
def keep_sighting(
    *,
    job_id: uuid.UUID,
    recogniser: str,
    embeddings: Sequence[NDArray[np.float32]],
    **_more: object,
) -> None:
    """Remember for a short while that a job took these faces."""
    if settings.RISK_ENABLED:
        services.note_faces(job_id=job_id, recogniser=recogniser, embeddings=embeddings)
