"""Faces of uploads on the wire."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from inference.api.serializers.fields import LowerCaseChoiceField, absolute
from inference.errors import failure_text
from inference.face_selectors import FaceSet
from inference.models import AssetFace, FaceSearch


class FaceQualitySerializer(serializers.Serializer[AssetFace]):
    """How well a face is seen."""

    score = serializers.FloatField(help_text=_("How sure the detector is, from 0 to 1."))
    landmark_score = serializers.FloatField(
        help_text=_("From 0 to 1; low where the face is turned away or covered.")
    )
    size_px = serializers.SerializerMethodField(help_text=_("The shorter side of the box."))
    sharpness = serializers.FloatField(
        help_text=_("Variance of the Laplacian at 112 pixels; below 50 the face is blurred.")
    )

    def get_size_px(self, face: AssetFace) -> float:
        """In pixels of the picture or frame."""
        return min(face.right_px - face.left_px, face.bottom_px - face.top_px)


class FaceTrackSerializer(serializers.Serializer[AssetFace]):
    """When a person of a video is seen, as far as the samples show it."""

    start_ms = serializers.IntegerField(help_text=_("Of the first sample that shows the person."))
    end_ms = serializers.IntegerField(help_text=_("Of the last sample that shows the person."))
    sample_ms = serializers.IntegerField(
        source="time_ms", help_text=_("Of the sample that box, quality and thumbnail are from.")
    )
    samples = serializers.IntegerField(
        source="samples_count", help_text=_("How many samples show the person.")
    )


class FaceSerializer(serializers.Serializer[AssetFace]):
    """A face of a picture, or a person of a video."""

    id = serializers.UUIDField()
    box_xyxy = serializers.SerializerMethodField()
    quality = FaceQualitySerializer(source="*")
    track = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()

    @extend_schema_field(
        serializers.ListField(
            child=serializers.FloatField(), help_text=_("Left, top, right, bottom in pixels.")
        )
    )
    def get_box_xyxy(self, face: AssetFace) -> list[float]:
        """Of the upright picture or frame."""
        return [face.left_px, face.top_px, face.right_px, face.bottom_px]

    @extend_schema_field(FaceTrackSerializer(allow_null=True))
    def get_track(self, face: AssetFace) -> dict[str, Any] | None:
        """Null in a picture."""
        return None if face.time_ms is None else dict(FaceTrackSerializer(face).data)

    @extend_schema_field(serializers.URLField())
    def get_thumbnail_url(self, face: AssetFace) -> str:
        """Where the owner gets a small JPEG of the face."""
        asset_id = self.context["asset_id"]
        return absolute(self, "asset-face-thumbnail", asset_id=asset_id, face_id=face.pk)


class FaceErrorSerializer(serializers.Serializer[Any]):
    """Why no faces could be looked for."""

    code = serializers.CharField()
    detail = serializers.CharField()


class FaceSetSerializer(serializers.Serializer[FaceSet]):
    """The faces of an upload."""

    asset_id = serializers.UUIDField(source="search.asset_id")
    state = LowerCaseChoiceField(FaceSearch.Status.values, source="search.status")
    has_faces = serializers.SerializerMethodField()
    faces = serializers.SerializerMethodField()
    turned_away = serializers.IntegerField(
        source="search.turned_away_count",
        help_text=_("Faces that are turned too far to the side, over all samples."),
    )
    left_out = serializers.IntegerField(
        source="search.left_out_count", help_text=_("Faces beyond the most that are kept.")
    )
    samples = serializers.IntegerField(
        source="search.samples_count", help_text=_("Frames that were looked at; 1 of a picture.")
    )
    error = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(
        source="search.expires_at", allow_null=True, help_text=_("When the faces are forgotten.")
    )

    def get_has_faces(self, found: FaceSet) -> bool | None:
        """Null until the state is done."""
        return bool(found.faces) if found.search.status == FaceSearch.Status.DONE else None

    @extend_schema_field(FaceSerializer(many=True))
    def get_faces(self, found: FaceSet) -> list[dict[str, Any]]:
        """Of a picture, the largest first; of a video, who is seen most often first."""
        context = {**self.context, "asset_id": found.search.asset_id}
        return [dict(FaceSerializer(face, context=context).data) for face in found.faces]

    @extend_schema_field(FaceErrorSerializer(allow_null=True))
    def get_error(self, found: FaceSet) -> dict[str, str] | None:
        """Null unless the state is failed."""
        code = found.search.error_code
        return {"code": code, "detail": str(failure_text(code))} if code else None
