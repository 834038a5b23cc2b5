"""Quotes, jobs and batches of jobs."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from facefusion_platform_client._building import build
from facefusion_platform_client._transport import Transport, new_key
from facefusion_platform_client.errors import (
    ApiError,
    DamagedDownloadError,
    NoAnswerError,
    WaitTimeoutError,
)
from facefusion_platform_client.models import CancelPreview, Job, JobBatch, JobEvent, Quote

IMAGE_SWAP: Final = "image_swap"
VIDEO_SWAP: Final = "video_swap"
_WAIT_MAX_S: Final = 30
_POLL_S: Final = 1.0
_HEARTBEAT_S: Final = 60.0


class Quotes:
    """Prices, promised for a while. They cost nothing."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        source_asset_id: str,
        target_asset_id: str,
        operation: str = IMAGE_SWAP,
        options: Mapping[str, Any] | None = None,
    ) -> Quote:
        """Price a swap: the face of the source goes onto the target.

        Raises:
            ApiError: the uploads or the options do not go together.
            NoAnswerError: no answer came.
        """
        request: dict[str, Any] = {
            "operation": operation,
            "source_asset_id": source_asset_id,
            "target_asset_id": target_asset_id,
        }
        if options is not None:
            request["options"] = dict(options)
        # A second quote is as free as the first.
        return build(
            Quote, self._transport.json("POST", "quotes", json=request, is_repeatable=True)
        )

    def get(self, quote_id: str) -> Quote:
        """One quote with the balance as it is now.

        Raises:
            NotFoundError: you have none with this id.
        """
        return build(Quote, self._transport.json("GET", f"quotes/{quote_id}"))


class Jobs:
    """Swaps. What creates one has an idempotency key: repeated, it answers with the same job."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        quote_id: str,
        *,
        idempotency_key: str | None = None,
        start_deadline_s: int | None = None,
    ) -> Job:
        """Redeem a quote: its tokens are held now, and charged only for a result.

        Args:
            quote_id: what is bought.
            idempotency_key: your name of this order, such as its number; a random one by default.
            start_deadline_s: the job expires with a full refund if no worker begins by then.

        Raises:
            InsufficientTokensError: the wallet cannot pay.
            ApiError: anything else that is refused.
            NoAnswerError: no answer came; the same key finds out.
        """
        request: dict[str, Any] = {"quote_id": quote_id}
        if start_deadline_s is not None:
            request["start_deadline_s"] = start_deadline_s
        return build(
            Job,
            self._transport.json(
                "POST", "jobs", json=request, idempotency_key=idempotency_key or new_key()
            ),
        )

    def get(self, job_id: str) -> Job:
        """One job as it is now.

        Raises:
            NotFoundError: you have none with this id.
        """
        return build(Job, self._transport.json("GET", f"jobs/{job_id}"))

    def list(
        self,
        *,
        state: str | None = None,
        operation: str | None = None,
        batch_id: str | None = None,
        created_from: dt.datetime | None = None,
        created_to: dt.datetime | None = None,
    ) -> Iterator[Job]:
        """Jobs, newest first; pages are fetched as you go."""
        params = {
            "state": state,
            "operation": operation,
            "batch_id": batch_id,
            "created_from": created_from.isoformat() if created_from else None,
            "created_to": created_to.isoformat() if created_to else None,
        }
        return (build(Job, item) for item in self._transport.pages("jobs", params=params))

    def wait(
        self,
        job_id: str,
        *,
        timeout_s: float = 600.0,
        on_progress: Callable[[JobEvent], None] | None = None,
    ) -> Job:
        """Wait until a job has ended, however it ends; ``require_success`` tells how.

        Args:
            job_id: which one.
            timeout_s: patience.
            on_progress: called with each change, from the job's event stream.

        Raises:
            WaitTimeoutError: it has not ended in time.
            ApiError: the server refused.
            NoAnswerError: no answer came.
        """
        deadline = time.monotonic() + timeout_s
        if on_progress is not None:
            self._follow(job_id, deadline, on_progress)
        while (left_s := deadline - time.monotonic()) > 0:
            wait_s = max(1, min(_WAIT_MAX_S, int(left_s)))
            answer = self._transport.send(
                "GET", f"jobs/{job_id}", headers={"Prefer": f"wait={wait_s}"}, wait_s=wait_s
            )
            job = build(Job, answer.json())
            if job.has_ended:
                return job
            if "Preference-Applied" not in answer.headers:
                # As many wait as may: ask now and then instead.
                time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
        raise WaitTimeoutError(f"Job {job_id} has not ended within {timeout_s:g} s.")

    def events(self, job_id: str, *, last_event_id: str = "") -> Iterator[JobEvent]:
        """The event stream of a job, once: each change until it ends or the connection does.

        Raises:
            ApiError: the server refused, for example because too many listen.
            NoAnswerError: the connection broke off; go on with the last event's id.
        """
        headers = {"Accept": "text/event-stream"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        path = f"jobs/{job_id}/events"
        with self._transport.stream(path, headers=headers, read_s=_HEARTBEAT_S) as answer:
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _colon, value = line.partition(":")
                if line and name:
                    fields[name] = value.removeprefix(" ")
                elif not line and "data" in fields:
                    yield build(JobEvent, {"id": fields.get("id", "")} | json.loads(fields["data"]))
                    fields = {}

    def cancel(self, job_id: str) -> Job:
        """End a job; only work that was done by then is charged. May be repeated.

        Raises:
            ConflictError: it has ended in another way.
        """
        return build(Job, self._transport.json("POST", f"jobs/{job_id}/cancel", is_repeatable=True))

    def preview_cancel(self, job_id: str) -> CancelPreview:
        """What canceling a job at this moment would charge and give back; nothing is canceled.

        Raises:
            ConflictError: it has ended.
        """
        return build(CancelPreview, self._transport.json("GET", f"jobs/{job_id}/cancel"))

    def retry(
        self, job_id: str, *, quote_id: str | None = None, idempotency_key: str | None = None
    ) -> Job:
        """Run a job that failed, expired or was canceled once more, as a new job.

        Raises:
            ConflictError: it is no such job.
            InsufficientTokensError: the wallet cannot pay.
        """
        request = {"quote_id": quote_id} if quote_id else {}
        return build(
            Job,
            self._transport.json(
                "POST",
                f"jobs/{job_id}/retry",
                json=request,
                idempotency_key=idempotency_key or new_key(),
            ),
        )

    def download(self, job: Job, to: str | os.PathLike[str]) -> Path:
        """Write a result to a file, which appears whole and checked or not at all.

        Returns:
            Where it is.

        Raises:
            JobEndedError: the job has ended without a result.
            ApiError: there is no result yet, or none any more.
            DamagedDownloadError: other bytes came than the job names.
            NoAnswerError: the download broke off.
        """
        job.require_success()
        path = Path(to)
        part = path.with_name(f"{path.name}.part")
        digest = hashlib.sha256()
        try:
            with (
                self._transport.stream(f"jobs/{job.id}/result") as answer,
                part.open("wb") as file,
            ):
                for block in answer.iter_bytes():
                    digest.update(block)
                    file.write(block)
            if job.output is not None and digest.hexdigest() != job.output.sha256:
                raise DamagedDownloadError(f"The result of job {job.id} arrived damaged.")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path

    def delete_result(self, job_id: str) -> None:
        """Delete the bytes of a result now; the job and its receipt stay.

        Raises:
            ConflictError: there is no result.
        """
        self._transport.send("DELETE", f"jobs/{job_id}/result")

    def create_batch(
        self,
        jobs: Sequence[Mapping[str, Any]] | None = None,
        *,
        image_set: Mapping[str, Any] | None = None,
        mode: str = "soft_fail",
        max_tokens: int | None = None,
        idempotency_key: str | None = None,
    ) -> JobBatch:
        """Submit many swaps at once: rows like ``Quotes.create`` takes them, or an image set.

        Args:
            jobs: one mapping for each swap.
            image_set: ``source_asset_id`` and ``target_asset_ids`` instead.
            mode: ``soft_fail`` lets good rows through, ``atomic`` all or none.
            max_tokens: refuse the batch if it costs more.
            idempotency_key: your name of this batch; a random one by default.

        Raises:
            InvalidRequestError: an atomic batch has bad rows; ``errors`` names them.
            InsufficientTokensError: the wallet cannot pay.
        """
        request: dict[str, Any] = {"mode": mode}
        if jobs is not None:
            request["jobs"] = [dict(job) for job in jobs]
        if image_set is not None:
            request["image_set"] = dict(image_set)
        if max_tokens is not None:
            request["max_tokens"] = max_tokens
        return build(
            JobBatch,
            self._transport.json(
                "POST", "jobs/batches", json=request, idempotency_key=idempotency_key or new_key()
            ),
        )

    def get_batch(self, batch_id: str) -> JobBatch:
        """A batch with the counts of its jobs' states.

        Raises:
            NotFoundError: you have none with this id.
        """
        return build(JobBatch, self._transport.json("GET", f"jobs/batches/{batch_id}"))

    def cancel_batch(self, batch_id: str) -> JobBatch:
        """Cancel each of its jobs that has not ended. May be repeated."""
        path = f"jobs/batches/{batch_id}/cancel"
        return build(JobBatch, self._transport.json("POST", path, is_repeatable=True))

    def _follow(
        self, job_id: str, deadline: float, on_progress: Callable[[JobEvent], None]
    ) -> None:
        """Tell changes as long as the stream lasts; who calls waits on without it."""
        try:
            for event in self.events(job_id):
                on_progress(event)
                if event.is_last or time.monotonic() > deadline:
                    return
        except NoAnswerError:
            return
        except ApiError as error:
            if not error.retryable:
                raise
