"""Jobs on the wire."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from facefusion_site.common.serializers import PageQuerySerializer, StrictUUIDField
from inference.api.serializers.fields import LowerCaseChoiceField, absolute
from inference.api.serializers.options import SwapOptionsSerializer
from inference.errors import failure_text
from inference.models import SwapJob, SwapQuote
from inference.selectors import JobDetail


class JobCreateSerializer(serializers.Serializer[Any]):
    """A job is a quote that is redeemed."""

    quote_id = StrictUUIDField()


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
    segments_done = serializers.IntegerField(
        allow_null=True, help_text=_("Of a video that is split between workers.")
    )
    segments = serializers.IntegerField(
        allow_null=True, help_text=_("Of a video that is split between workers.")
    )


class JobErrorSerializer(serializers.Serializer[Any]):
    """Why a job failed."""

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
    progress = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    output = serializers.SerializerMethodField()
    faces = JobFaceSerializer(source="job.faces", many=True)
    report = serializers.SerializerMethodField()
    receipt = ReceiptSerializer(source="*")
    created_at = serializers.DateTimeField(source="job.created_at")
    started_at = serializers.DateTimeField(source="job.started_at", allow_null=True)
    finished_at = serializers.DateTimeField(source="job.finished_at", allow_null=True)

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, detail: JobDetail) -> dict[str, Any]:
        """The stage is null while no worker is at it."""
        job = detail.job
        return {
            "stage": job.stage or None,
            "percent": job.progress_percent,
            "frames_done": job.frames_done if job.frames_count else None,
            "frames": job.frames_count or None,
            "eta_s": job.eta_s,
            "segments_done": job.segments_done if job.segments_count else None,
            "segments": job.segments_count or None,
        }

    @extend_schema_field(VideoReportSerializer(allow_null=True))
    def get_report(self, detail: JobDetail) -> dict[str, Any] | None:
        """Null for pictures, and until a video is done."""
        return detail.job.report or None

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, detail: JobDetail) -> dict[str, str] | None:
        """The text follows from the code: exceptions may name what is not the owner's business."""
        code = detail.job.error_code
        return {"code": code, "detail": str(failure_text(code))} if code else None

    @extend_schema_field(JobOutputSerializer(allow_null=True))
    def get_output(self, detail: JobDetail) -> dict[str, Any] | None:
        """Null until the job has succeeded."""
        job = detail.job
        if job.status != SwapJob.Status.SUCCEEDED:
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


class JobPageSerializer(serializers.Serializer[Any]):
    """A page of jobs, newest first."""

    items = JobSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class JobQuerySerializer(PageQuerySerializer):
    """Query parameters of the list of jobs."""

    state = LowerCaseChoiceField(
        SwapJob.Status.values, required=False, default=None, help_text=_("Only jobs in this state.")
    )

    def validate_state(self, state: str | None) -> str | None:
        """The row's spelling."""
        return state.upper() if state else None
