"""Uploads on the wire."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from inference.api.serializers.fields import LowerCaseChoiceField, absolute
from inference.models import MediaAsset
from inference.services.presigned import UploadTarget

# By this name the schema finds the values that several of its parts share.
STATES: Final = [status.lower() for status in MediaAsset.Status.values]


class UploadSerializer(serializers.Serializer[Any]):
    """A picture or video to keep."""

    file = serializers.FileField(
        allow_empty_file=True,
        help_text=_("A JPEG, PNG or still WebP picture, or an MP4, MOV, MKV or WebM video."),
    )


class UploadAnnounceSerializer(serializers.Serializer[Any]):
    """An upload whose bytes will be sent on their own."""

    filename = serializers.CharField(max_length=255)
    size_bytes = serializers.IntegerField(
        min_value=1, help_text=_("Exactly so many bytes must be sent.")
    )
    sha256 = serializers.RegexField(
        r"^[0-9a-fA-F]{64}\Z",
        default="",
        allow_blank=True,
        help_text=_("64 hex digits; the bytes are refused if they have another."),
    )
    content_type = serializers.RegexField(
        r"^[a-z]+/[a-zA-Z0-9.+-]{1,50}\Z",
        default="",
        allow_blank=True,
        help_text=_("What the file is; without it, the name tells."),
    )

    def validate_sha256(self, value: str) -> str:
        """Lower case, as everywhere."""
        return value.lower()


class ImportSerializer(serializers.Serializer[Any]):
    """A file to fetch."""

    url = serializers.CharField(
        max_length=2048, help_text=_("An https address that anybody can open.")
    )
    filename = serializers.CharField(
        max_length=255,
        default="",
        allow_blank=True,
        help_text=_("Without it, the address tells."),
    )


class UploadTargetSerializer(serializers.Serializer[Any]):
    """Where and how the bytes are sent."""

    method = serializers.CharField()
    url = serializers.SerializerMethodField()
    headers = serializers.DictField(
        child=serializers.CharField(), help_text=_("Send all of them, unchanged.")
    )
    expires_at = serializers.DateTimeField()

    @extend_schema_field(serializers.URLField())
    def get_url(self, target: UploadTarget) -> str:
        """A bucket's address, or ours as the client of this request reaches us."""
        url: str = self.context["request"].build_absolute_uri(target.url)
        return url


class OpenUploadSerializer(serializers.Serializer[Any]):
    """An announced upload; its id is that of the upload when it is complete."""

    id = serializers.UUIDField(source="asset.pk")
    state = LowerCaseChoiceField(STATES, source="asset.status")
    upload = UploadTargetSerializer(source="target")


class AssetSerializer(serializers.Serializer[MediaAsset]):
    """An uploaded picture or video; sides are of the upright picture."""

    id = serializers.UUIDField()
    state = LowerCaseChoiceField(
        STATES,
        source="status",
        help_text=_("Only “ready” can be used; the rest of a file that is not is 0 or empty."),
    )
    kind = LowerCaseChoiceField(MediaAsset.Kind.values)
    name = serializers.CharField(source="original_name")
    content_type = serializers.CharField()
    bytes = serializers.IntegerField(source="size_bytes", help_text=_("Of the file as kept."))
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
    sha256 = serializers.CharField(
        help_text=_("Of the file as kept: a picture is written anew without its metadata.")
    )
    received_bytes = serializers.IntegerField(help_text=_("Of the file as it was sent."))
    received_sha256 = serializers.CharField(help_text=_("Of the file as it was sent."))
    content_url = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text=_("When it is deleted by itself; null: never.")
    )
    deleted_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.URLField())
    def get_content_url(self, asset: MediaAsset) -> str:
        """Where the owner gets the bytes."""
        return absolute(self, "asset-content", asset_id=asset.pk)

    @extend_schema_field(serializers.URLField())
    def get_thumbnail_url(self, asset: MediaAsset) -> str:
        """Where the owner gets a small JPEG."""
        return absolute(self, "asset-thumbnail", asset_id=asset.pk)


class AssetPageSerializer(serializers.Serializer[Any]):
    """A page of uploads, newest first."""

    items = AssetSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ErasureSerializer(serializers.Serializer[Any]):
    """What a request to erase everything did."""

    receipt_id = serializers.UUIDField(
        allow_null=True, help_text=_("Of what it erased; null when there was nothing.")
    )
    erased_count = serializers.IntegerField(help_text=_("Uploads and results."))
    remaining_count = serializers.IntegerField(help_text=_("Left for the next request."))
