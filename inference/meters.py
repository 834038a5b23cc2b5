"""Writes down what each attempt of a job took. The only writer of meters."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from inference.measuring import Measured, Measurement
from inference.models import JobMeter
from inference.pipeline.errors import StoppedError
from inference.types import Claim, SegmentClaim

log = structlog.get_logger(__name__)
Outcome = JobMeter.Outcome
# What went in follows from the uploads of the quote, so the row is made where those are.
_INSERT_SQL: Final = """
INSERT INTO inference_jobmeter (
    job_id, segment_index, attempt, outcome, wall_ms, cpu_ms, gpu_ms, memory_peak_bytes,
    gpu_memory_peak_bytes, bytes_in, bytes_out, frames_count, pixels_count, recorded_at)
SELECT job.id, %(segment)s, %(attempt)s, %(outcome)s, %(wall_ms)s, %(cpu_ms)s, %(gpu_ms)s,
       %(memory)s, %(gpu_memory)s, source.size_bytes + target.size_bytes, %(bytes_out)s,
       %(frames)s, %(frames)s * target.width_px::bigint * target.height_px,
       statement_timestamp()
  FROM inference_swapjob job
  JOIN inference_swapquote quote ON quote.id = job.quote_id
  JOIN inference_mediaasset source ON source.id = quote.source_id
  JOIN inference_mediaasset target ON target.id = quote.target_id
 WHERE job.id = %(job)s
ON CONFLICT DO NOTHING
"""


class AttemptMeter:
    """Around one attempt: measures it, and writes it down however it ends.

    An attempt that has something to show says so with ``ended``; for one that does not, the
    exception tells. A meter that cannot be written is logged and harms nobody: the job is what
    matters.
    """

    def __init__(
        self, claim: Claim | SegmentClaim, *, refusals: tuple[type[Exception], ...]
    ) -> None:
        """Meter an attempt.

        Args:
            claim: the right to it.
            refusals: exceptions that say that the input cannot be used.
        """
        self._claim = claim
        self._refusals = refusals
        self._measurement = Measurement(gpu_index=settings.ORT_DEVICE_ID)
        self._outcome = Outcome.BROKE
        self._frames = 0
        self._bytes_out = 0

    def ended(self, outcome: JobMeter.Outcome, *, frames: int = 0, bytes_out: int = 0) -> None:
        """Say how it ended, and what it made: frames that were swapped, bytes that were stored."""
        self._outcome = outcome
        self._frames = frames
        self._bytes_out = bytes_out

    def __enter__(self) -> Self:
        self._measurement.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._measurement.__exit__(kind, error, trace)
        if error is not None and not isinstance(error, Exception):
            # The process is being ended: there is no time to write.
            return
        if isinstance(error, StoppedError):
            self._outcome = Outcome.STOPPED
        elif isinstance(error, self._refusals):
            self._outcome = Outcome.REFUSED
        try:
            with transaction.atomic():
                self._write(self._measurement.taken)
        except DatabaseError:
            log.exception("inference.meter.not_written")

    def _write(self, taken: Measured) -> None:
        claim = self._claim
        with connection.cursor() as cursor:
            cursor.execute(
                _INSERT_SQL,
                {
                    "job": claim.job.job_id if isinstance(claim, SegmentClaim) else claim.job_id,
                    "segment": claim.index if isinstance(claim, SegmentClaim) else None,
                    "attempt": claim.attempt,
                    "outcome": self._outcome.value,
                    "wall_ms": taken.wall_ms,
                    "cpu_ms": taken.cpu_ms,
                    "gpu_ms": taken.gpu_ms,
                    "memory": taken.memory_peak_bytes,
                    "gpu_memory": taken.gpu_memory_peak_bytes,
                    "bytes_out": self._bytes_out,
                    "frames": self._frames,
                },
            )
