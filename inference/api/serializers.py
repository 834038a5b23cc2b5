"""Wire format of the inference API. States are lower case on the wire, upper case in rows."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from facefusion_site.common.serializers import PageQuerySerializer, StrictUUIDField
from inference.errors import failure_text
from inference.models import MediaAsset, SwapJob, SwapQuote
from inference.selectors import JobDetail, QuoteDetail
from inference.types import VIDEO_TYPES, SwapOptions, TargetFaces, VideoOptions

_UNKNOWN: Final = _("This field is not known.")


class LowerCaseChoiceField(serializers.ChoiceField):
    """Choices that are lower case on the wire and upper case in rows."""

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        super().__init__(choices=[str(choice).lower() for choice in choices], **kwargs)

    def to_representation(self, value: Any) -> str:
        return str(value).lower()


class UploadSerializer(serializers.Serializer[Any]):
    """A picture or video to keep."""

    file = serializers.FileField(
        allow_empty_file=True,
        help_text=_("A JPEG, PNG or still WebP picture, or an MP4, MOV, MKV or WebM video."),
    )


class AssetSerializer(serializers.Serializer[MediaAsset]):
    """An uploaded picture or video; sides are of the upright picture."""

    id = serializers.UUIDField()
    kind = LowerCaseChoiceField(MediaAsset.Kind.values)
    name = serializers.CharField(source="original_name")
    content_type = serializers.CharField()
    bytes = serializers.IntegerField(source="size_bytes")
    width = serializers.IntegerField(source="width_px", help_text=_("Pixels."))
    height = serializers.IntegerField(source="height_px", help_text=_("Pixels."))
    duration_ms = serializers.IntegerField(allow_null=True, help_text=_("Of a video."))
    fps = serializers.FloatField(allow_null=True, help_text=_("Of a video."))
    frames = serializers.IntegerField(
        source="frames_count",
        allow_null=True,
        help_text=_("Of a video; an estimate where the file does not tell."),
    )
    has_audio = serializers.BooleanField()
    sha256 = serializers.CharField()
    content_url = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    @extend_schema_field(serializers.URLField())
    def get_content_url(self, asset: MediaAsset) -> str:
        """Where the owner gets the bytes."""
        return _absolute(self, "asset-content", asset_id=asset.pk)

    @extend_schema_field(serializers.URLField())
    def get_thumbnail_url(self, asset: MediaAsset) -> str:
        """Where the owner gets a small JPEG."""
        return _absolute(self, "asset-thumbnail", asset_id=asset.pk)


class VideoOptionsSerializer(serializers.Serializer[Any]):
    """Which part of a video is swapped, and how the result is written."""

    start_s = serializers.FloatField(
        min_value=0, default=0.0, help_text=_("Seconds from the start of the video.")
    )
    end_s = serializers.FloatField(
        min_value=0, allow_null=True, default=None, help_text=_("Null: the end of the video.")
    )
    format = serializers.ChoiceField(
        choices=list(VIDEO_TYPES), allow_null=True, default=None, help_text=_("Null: the target's.")
    )
    quality = serializers.IntegerField(
        min_value=0, max_value=100, default=80, help_text=_("100 is nearly lossless.")
    )
    fps = serializers.FloatField(
        min_value=1,
        max_value=240,
        allow_null=True,
        default=None,
        help_text=_("Frames a second; null keeps every frame at its time."),
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Seconds become whole milliseconds; an unknown name is a mistake, not a wish."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: [_UNKNOWN] for name in unknown})
        values = super().to_internal_value(data)
        start_s, end_s = values.pop("start_s"), values.pop("end_s")
        return {
            **values,
            "start_ms": round(start_s * 1000),
            "end_ms": None if end_s is None else round(end_s * 1000),
        }

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """The stored milliseconds as seconds."""
        values = dict(instance)
        start_ms, end_ms = values.pop("start_ms"), values.pop("end_ms")
        end_s = None if end_ms is None else end_ms / 1000
        return {"start_s": start_ms / 1000, "end_s": end_s, **values}


class SwapOptionsSerializer(serializers.Serializer[Any]):
    """What may be chosen about a swap."""

    target_faces = serializers.ChoiceField(
        choices=[choice.value for choice in TargetFaces],
        default=TargetFaces.ONE.value,
        help_text=_("one: refuse a target with several faces; largest; all."),
    )
    spec = serializers.DictField(
        required=False,
        help_text=_(
            "The engine's options by part: detector, landmarker, selector, swapper, masks, "
            "face_enhancer, colour, tracker."
        ),
    )
    video = VideoOptionsSerializer(required=False)


class QuoteCreateSerializer(serializers.Serializer[Any]):
    """A swap to be priced: the face of the source goes onto the target."""

    operation = LowerCaseChoiceField(SwapQuote.Operation.values)
    source_asset_id = StrictUUIDField()
    target_asset_id = StrictUUIDField()
    options = SwapOptionsSerializer(required=False)

    def to_options(self) -> SwapOptions:
        """The validated options as a value of the app."""
        chosen = self.validated_data.get("options", {})
        video = chosen.get("video")
        return SwapOptions(
            target_faces=TargetFaces(chosen.get("target_faces", TargetFaces.ONE)),
            spec=chosen.get("spec"),
            video=None if video is None else VideoOptions(**video),
        )


class PriceLineSerializer(serializers.Serializer[Any]):
    """One line of the price."""

    operation = serializers.CharField()
    quantity = serializers.IntegerField(help_text=_("Pictures, or milliseconds of video."))
    unit_price = serializers.IntegerField(
        help_text=_("Tokens a picture, or a started second of video.")
    )
    tokens = serializers.IntegerField()


class QuoteBalanceSerializer(serializers.Serializer[Any]):
    """The wallet now and after the job; below zero means that tokens are missing."""

    available = serializers.IntegerField()
    after = serializers.IntegerField()


class QuoteSerializer(serializers.Serializer[QuoteDetail]):
    """A price that is promised until ``expires_at`` and pays for one job."""

    id = serializers.UUIDField(source="quote.id")
    operation = LowerCaseChoiceField(SwapQuote.Operation.values, source="quote.operation")
    source_asset_id = serializers.UUIDField(source="quote.source_id")
    target_asset_id = serializers.UUIDField(source="quote.target_id")
    options = SwapOptionsSerializer(source="quote.options")
    tokens = serializers.IntegerField(source="quote.tokens")
    lines = PriceLineSerializer(source="quote.price_lines", many=True)
    balance = serializers.SerializerMethodField()
    job_id = serializers.UUIDField(
        allow_null=True, help_text=_("The job that this quote paid for, if any.")
    )
    created_at = serializers.DateTimeField(source="quote.created_at")
    expires_at = serializers.DateTimeField(source="quote.expires_at")

    @extend_schema_field(QuoteBalanceSerializer)
    def get_balance(self, detail: QuoteDetail) -> dict[str, int]:
        """What the caller can afford."""
        available = detail.balance.available
        return {"available": available, "after": available - detail.quote.tokens}


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
            "url": _absolute(self, "job-result", job_id=job.pk),
            "sha256": job.result_sha256,
            "width": job.result_width_px,
            "height": job.result_height_px,
            "bytes": job.result_size_bytes,
            "content_type": job.result_content_type,
            "duration_ms": job.result_duration_ms,
        }


class AssetPageSerializer(serializers.Serializer[Any]):
    """A page of uploads, newest first."""

    items = AssetSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


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


def _absolute(serializer: serializers.BaseSerializer[Any], name: str, **ids: uuid.UUID) -> str:
    url: str = serializer.context["request"].build_absolute_uri(reverse(name, kwargs=ids))
    return url
