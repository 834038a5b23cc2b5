"""How to swap, on the wire."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from inference.api.serializers.fields import UNKNOWN
from inference.types import VIDEO_TYPES, TargetFaces


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
            raise serializers.ValidationError({name: [UNKNOWN] for name in unknown})
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
