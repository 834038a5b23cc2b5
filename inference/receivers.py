"""What media and jobs do when trust says that a face or a file may not be used any more."""

from __future__ import annotations

import uuid
from typing import Any

from inference import services


def follow_revocation(*, consent_id: uuid.UUID, **_signal: Any) -> None:
    """End the jobs and delete the sources of a revoked consent."""
    services.enforce_revocation(consent_id=consent_id)


def follow_block(*, sha256: str, **_signal: Any) -> None:
    """Remove what has a blocked digest."""
    services.enforce_block(sha256=sha256)
