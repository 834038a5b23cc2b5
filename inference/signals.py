"""What inference tells the apps above it, which it knows nothing of."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# A worker has seen whose faces a job takes. Sent outside of transactions with ``job_id``, the key
# of the ``recogniser``, and ``embeddings``: one (D,) float32 of length 1 for each identity. A split
# or repeated job sends it again. They are biometric data: a receiver stores none of them. What it
# raises is logged, and does not end the job.
source_faces_seen: Final = Signal()
