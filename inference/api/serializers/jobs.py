"""Jobs on the wire."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from facefusion_site.common.serializers import (
    PageQuerySerializer,
    StrictIntegerField,
    StrictUUIDField,
)
from inference import watching
from inference.api.serializers.fields import LowerCaseChoiceField, absolute
from inference.api.serializers.options import SwapOptionsSerializer
from inference.api.serializers.quotes import QuotedPriceSerializer
from inference.errors import failure_text
from inference.models import SwapJob, SwapQuote
from inference.selectors import JobDetail, JobFilter
from inference.watching import JobState


class StartDeadlineField(StrictIntegerField):
    """Seconds within which a worker has to begin."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            min_value=1,
            max_value=settings.HOLD_TTL_S,
            required=False,
            allow_null=True,
            help_text=_("If no worker has begun by then, the job expires with a full refund."),
            **kwargs,
        )


class JobCreateSerializer(serializers.Serializer[Any]):
    """A job is a quote that is redeemed."""

    quote_id = StrictUUIDField()
    start_deadline_s = StartDeadlineField()


class JobRetrySerializer(serializers.Serializer[Any]):
    """How to run a job again."""

    quote_id = StrictUUIDField(
        required=False,
        allow_null=True,
        help_text=_("An open quote for the same uploads; without it, today's price is taken."),
    )
    start_deadline_s = StartDeadlineField()


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a job is."""

    stage = serializers.CharField(
        allow_null=True,
        help_text=_("detect, prepare, swap, blend, publish; of a video also video and join."),
    )
    percent = serializers.IntegerField(min_value=0, max_value=100)
    frames_done = serializers.IntegerField(allow_null=True, help_text=_("Of a video."))
    frames = serializers.IntegerField(allow_null=True, help_text=_("Of a video."))
    eta_s = serializers.IntegerField(
        allow_null=True, help_text=_("Seconds left, as far as can be told.")
    )
    queue_position = serializers.IntegerField(
        allow_null=True,
        help_text=_("While it is queued, an estimate from 1 up; not told in lists."),
    )
    segments_done = serializers.IntegerField(
        allow_null=True, help_text=_("Of a video that is split between workers.")
    )
    segments = serializers.IntegerField(
        allow_null=True, help_text=_("Of a video that is split between workers.")
    )


def progress_of(state: JobState) -> dict[str, Any]:
    """How far a job is, as told everywhere; the stage is null while no worker is at it."""
    return {
        "stage": state.stage or None,
        "percent": state.percent,
        "frames_done": state.frames_done,
        "frames": state.frames_count,
        "eta_s": state.eta_s,
        "queue_position": state.queue_position,
        "segments_done": state.segments_done,
        "segments": state.segments_count,
    }


class JobErrorSerializer(serializers.Serializer[Any]):
    """Why a job failed, was blocked, or expired."""

    code = serializers.CharField()
    detail = serializers.CharField()


class JobOutputSerializer(serializers.Serializer[Any]):
    """The result of a job that succeeded."""

    url = serializers.URLField(help_text=_("Only the owner can fetch it."))
    sha256 = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    bytes = serializers.IntegerField()
    content_type = serializers.CharField()
    duration_ms = serializers.IntegerField(allow_null=True, help_text=_("Of a video."))


class JobFaceSerializer(serializers.Serializer[Any]):
    """One replaced face: cosine similarity to the source, before and after, from -1 to 1."""

    box_xyxy = serializers.ListField(
        child=serializers.FloatField(), help_text=_("Left, top, right, bottom in pixels.")
    )
    similarity_before = serializers.FloatField()
    similarity_after = serializers.FloatField()


class JobPersonSerializer(serializers.Serializer[Any]):
    """What became of a face that the options name."""

    target_face_id = serializers.UUIDField()
    source_face_ids = serializers.ListField(
        child=serializers.UUIDField(), help_text=_("Empty for a reference.")
    )
    frames_swapped = serializers.IntegerField(
        help_text=_("0: the face was not found again; a picture is one frame.")
    )


class VideoReportSerializer(serializers.Serializer[Any]):
    """What was done to a video."""

    frames_out = serializers.IntegerField(help_text=_("Frames of the result."))
    frames_with_faces = serializers.IntegerField()
    frames_swapped = serializers.IntegerField()
    faces_swapped = serializers.IntegerField(help_text=_("Over all frames."))
    tracks_count = serializers.IntegerField(
        help_text=_("Faces that were followed, each segment counted by itself.")
    )
    concealed_count = serializers.IntegerField(help_text=_("Frames that the decoder had to guess."))
    corrupt_packets_count = serializers.IntegerField()
    streams = serializers.ListField(
        child=serializers.DictField(), help_text=_("What became of sound and other streams.")
    )


class TransferSerializer(serializers.Serializer[Any]):
    """One row of the token journal, as in the statement."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=["hold", "settle", "release"])
    tokens = serializers.IntegerField()
    available_change = serializers.IntegerField()
    recorded_at = serializers.DateTimeField()


class ReceiptSerializer(serializers.Serializer[JobDetail]):
    """What became of the tokens of a job: once it has ended, held = settled + refunded."""

    quoted = serializers.IntegerField(source="job.quote.tokens")
    held = serializers.IntegerField(source="receipt.held")
    settled = serializers.IntegerField(source="receipt.settled")
    refunded = serializers.IntegerField(source="receipt.refunded")
    price = QuotedPriceSerializer(source="job.quote")
    transfers = TransferSerializer(source="receipt.transfers", many=True)


class JobSerializer(serializers.Serializer[JobDetail]):
    """A job with its progress, its outcome and its receipt."""

    id = serializers.UUIDField(source="job.id")
    state = LowerCaseChoiceField(SwapJob.Status.values, source="job.status")
    operation = LowerCaseChoiceField(SwapQuote.Operation.values, source="job.quote.operation")
    quote_id = serializers.UUIDField(source="job.quote_id")
    source_asset_id = serializers.UUIDField(source="job.quote.source_id")
    target_asset_id = serializers.UUIDField(source="job.quote.target_id")
    options = SwapOptionsSerializer(source="job.quote.options")
    attempt = serializers.IntegerField(source="job.attempt")
    retry_of = serializers.UUIDField(
        source="job.retry_of_id", allow_null=True, help_text=_("The job that this one repeats.")
    )
    batch_id = serializers.UUIDField(source="job.batch_id", allow_null=True)
    batch_row = serializers.IntegerField(
        source="job.batch_row", allow_null=True, help_text=_("From 1 up.")
    )
    progress = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    output = serializers.SerializerMethodField()
    faces = JobFaceSerializer(source="job.faces", many=True)
    people = serializers.SerializerMethodField()
    report = serializers.SerializerMethodField()
    receipt = ReceiptSerializer(source="*")
    created_at = serializers.DateTimeField(source="job.created_at")
    start_deadline_at = serializers.DateTimeField(source="job.start_deadline_at", allow_null=True)
    started_at = serializers.DateTimeField(source="job.started_at", allow_null=True)
    finished_at = serializers.DateTimeField(source="job.finished_at", allow_null=True)
    result_deleted_at = serializers.DateTimeField(source="job.result_deleted_at", allow_null=True)

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, detail: JobDetail) -> dict[str, Any]:
        """As the event stream tells it."""
        state = watching.state_of(
            detail.job, queue_position=detail.queue_position, eta_s=detail.eta_s
        )
        return progress_of(state)

    @extend_schema_field(VideoReportSerializer(allow_null=True))
    def get_report(self, detail: JobDetail) -> dict[str, Any] | None:
        """Null for pictures, and until a video is done."""
        report = dict(detail.job.report)
        report.pop("people", None)
        return report or None

    @extend_schema_field(JobPersonSerializer(many=True))
    def get_people(self, detail: JobDetail) -> list[dict[str, Any]]:
        """Of the faces that the options name; empty until the job has succeeded."""
        return list(detail.job.report.get("people", []))

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, detail: JobDetail) -> dict[str, str] | None:
        """The text follows from the code: exceptions may name what is not the owner's business."""
        code = detail.job.error_code
        return {"code": code, "detail": str(failure_text(code))} if code else None

    @extend_schema_field(JobOutputSerializer(allow_null=True))
    def get_output(self, detail: JobDetail) -> dict[str, Any] | None:
        """Null until the job has succeeded, and after its result was deleted."""
        job = detail.job
        if not job.has_result:
            return None
        return {
            "url": absolute(self, "job-result", job_id=job.pk),
            "sha256": job.result_sha256,
            "width": job.result_width_px,
            "height": job.result_height_px,
            "bytes": job.result_size_bytes,
            "content_type": job.result_content_type,
            "duration_ms": job.result_duration_ms,
        }


class CancelPreviewSerializer(serializers.Serializer[Any]):
    """What canceling a job would do with its tokens: held = settled + refunded."""

    held = serializers.IntegerField(help_text=_("Set aside for the job."))
    settled = serializers.IntegerField(
        help_text=_("Would be charged, for the frames that are done.")
    )
    refunded = serializers.IntegerField(help_text=_("Would come back."))


class JobPageSerializer(serializers.Serializer[Any]):
    """A page of jobs, newest first."""

    items = JobSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class JobQuerySerializer(PageQuerySerializer):
    """Query parameters of the list of jobs."""

    state = LowerCaseChoiceField(
        SwapJob.Status.values, required=False, default=None, help_text=_("Only jobs in this state.")
    )
    operation = LowerCaseChoiceField(SwapQuote.Operation.values, required=False, default=None)
    batch_id = serializers.UUIDField(required=False, default=None)
    created_from = serializers.DateTimeField(
        required=False, default=None, help_text=_("Not older than this moment.")
    )
    created_to = serializers.DateTimeField(
        required=False, default=None, help_text=_("Not newer than this moment.")
    )

    def to_filter(self) -> JobFilter:
        """The validated parameters in the rows' spelling."""
        given = self.validated_data
        state, operation = given["state"], given["operation"]
        return JobFilter(
            status=state.upper() if state else None,
            operation=operation.upper() if operation else None,
            batch_id=given["batch_id"],
            created_from=given["created_from"],
            created_to=given["created_to"],
        )
