"""Source faces: whether one came before, across files and accounts, and never whose it is."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import uuid
from collections.abc import Sequence
from typing import Final

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from numpy.typing import NDArray

from inference import activity_selectors
from risk import face_tokens
from risk.models import FaceSighting

# Faces are compared and kept one after the other: two workers with one new face give it one label.
_LOCK_NUMBER: Final = 7_210_031
_NEAREST_SQL: Final = """
SELECT person,
       (SELECT count(*) FROM unnest(tokens) AS token WHERE token = ANY(%(tokens)s)) AS shared
  FROM risk_facesighting
 WHERE tokens && %(tokens)s AND forget_at > %(now)s
 ORDER BY shared DESC, seen_at DESC
 LIMIT 1
"""


def note_faces(
    *,
    job_id: uuid.UUID,
    recogniser: str,
    embeddings: Sequence[NDArray[np.float32]],
    now: dt.datetime | None = None,
) -> None:
    """Keep that a job takes these faces, under labels that alike faces share.

    Owns its transactions. Jobs of one batch count once. The embeddings are not kept anywhere.

    Args:
        job_id: which job; those of sandboxes are left out.
        recogniser: key of the model that the embeddings are of.
        embeddings: (D,) float32 of length 1 each.
        now: when the faces were seen.
    """
    request = activity_selectors.request_of(job_id=job_id)
    if request is None:
        return
    user_id, reference = request
    moment = now or timezone.now()
    for embedding in embeddings:
        current, later = face_tokens.tokens_of(
            embedding,
            recogniser=recogniser,
            key=_key(),
            at=moment,
            period_s=settings.RISK_FACE_TTL_S,
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_NUMBER])
            cursor.execute(_NEAREST_SQL, {"tokens": current, "now": moment})
            nearest = cursor.fetchone()
            is_known = nearest is not None and nearest[1] >= face_tokens.SHARED_MIN
            sighting = FaceSighting(
                user_id=user_id,
                reference=reference,
                person=nearest[0] if is_known else uuid.uuid4(),
                tokens=[*current, *later],
                seen_at=moment,
                forget_at=moment + dt.timedelta(seconds=settings.RISK_FACE_TTL_S),
            )
            FaceSighting.objects.bulk_create([sighting], ignore_conflicts=True)


def _key() -> bytes:
    """The secret of the tokens, of the deployment and of no account."""
    own = settings.RISK_FACE_KEY or settings.SECRET_KEY
    return hmac.digest(own.encode(), b"risk-faces", hashlib.sha256)
