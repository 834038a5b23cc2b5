"""Uploads on the wire."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from inference.api.serializers.fields import LowerCaseChoiceField, absolute
from inference.models import MediaAsset


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
        return absolute(self, "asset-content", asset_id=asset.pk)

    @extend_schema_field(serializers.URLField())
    def get_thumbnail_url(self, asset: MediaAsset) -> str:
        """Where the owner gets a small JPEG."""
        return absolute(self, "asset-thumbnail", asset_id=asset.pk)


class AssetPageSerializer(serializers.Serializer[Any]):
    """A page of uploads, newest first."""

    items = AssetSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
