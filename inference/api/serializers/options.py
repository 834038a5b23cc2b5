"""How to swap, on the wire."""

from __future__ import annotations

from typing import Any, Final, get_args

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import StrictIntegerField, StrictUUIDField
from inference.api.serializers.fields import UNKNOWN
from inference.types import (
    VIDEO_TYPES,
    FaceOrder,
    FacePair,
    SwapOptions,
    TargetFaces,
    VideoOptions,
)

PAIRS_MAX: Final = 32
SOURCES_MAX: Final = 31
# Longer than any video that is taken; as milliseconds it still is a number.
SECONDS_MAX: Final = 1_000_000


class VideoOptionsSerializer(serializers.Serializer[Any]):
    """Which part of a video is swapped, and how the result is written."""

    start_s = serializers.FloatField(
        min_value=0,
        max_value=SECONDS_MAX,
        default=0.0,
        help_text=_("Seconds from the start of the video."),
    )
    end_s = serializers.FloatField(
        min_value=0,
        max_value=SECONDS_MAX,
        allow_null=True,
        default=None,
        help_text=_("Null: the end of the video."),
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


class FacePairSerializer(serializers.Serializer[Any]):
    """The face of a source that goes onto a face of the target."""

    source_face_id = StrictUUIDField()
    target_face_id = StrictUUIDField()

    def to_internal_value(self, data: Any) -> FacePair:
        """As a value of the app."""
        return FacePair(**super().to_internal_value(data))


class FaceFilterSerializer(serializers.Serializer[Any]):
    """Attributes that a classifier guesses from the look of a face."""

    gender = serializers.ChoiceField(choices=["female", "male"], required=False)
    age_from = StrictIntegerField(min_value=0, max_value=120, required=False)
    age_to = StrictIntegerField(min_value=0, max_value=120, required=False)
    race = serializers.CharField(
        max_length=32, required=False, help_text=_("Only where the operator allows it.")
    )

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """An unknown name is a mistake, not a wish."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({name: [UNKNOWN] for name in unknown})
        return dict(super().to_internal_value(data))


class SwapOptionsSerializer(serializers.Serializer[Any]):
    """What may be chosen about a swap."""

    target_faces = serializers.ChoiceField(
        choices=[choice.value for choice in TargetFaces],
        required=False,
        help_text=_(
            "one: refuse a target with several faces; largest; all; reference: the person of one "
            "face; mapping: the faces that are mapped. Without it, what the other options mean, "
            "else one."
        ),
    )
    mapping = serializers.ListField(
        child=FacePairSerializer(),
        required=False,
        allow_empty=False,
        max_length=PAIRS_MAX,
        help_text=_(
            "Which face goes where. Several sources of one target face are pictures of one person."
        ),
    )
    reference_face_id = StrictUUIDField(
        required=False, help_text=_("A face of the target: only this person is replaced.")
    )
    distance = serializers.FloatField(
        required=False,
        min_value=0.01,
        max_value=1,
        help_text=_(
            "How far a face may be from the one it is taken for: 0 is the same picture, strangers "
            "are about 0.5 apart. 0.3 where nothing is said."
        ),
    )
    order = serializers.ChoiceField(
        choices=list(get_args(FaceOrder)),
        required=False,
        help_text=_("In which target faces are counted and reported."),
    )
    filter = FaceFilterSerializer(
        required=False, help_text=_("What a target face must be like, by guesses of a classifier.")
    )
    source_asset_ids = serializers.ListField(
        child=StrictUUIDField(),
        required=False,
        allow_empty=False,
        max_length=SOURCES_MAX,
        help_text=_(
            "Further pictures that faces are taken from. Without a mapping, all are pictures of "
            "one person."
        ),
    )
    spec = serializers.DictField(
        required=False,
        help_text=_(
            "The engine's options by part: detector, landmarker, selector, swapper, masks, "
            "face_enhancer, frame_enhancer, colour, tracker."
        ),
    )
    video = VideoOptionsSerializer(required=False)


def to_options(chosen: dict[str, Any]) -> SwapOptions:
    """Validated options as a value of the app."""
    video = chosen.get("video")
    meant = TargetFaces.ONE
    if chosen.get("mapping"):
        meant = TargetFaces.MAPPING
    elif chosen.get("reference_face_id") is not None:
        meant = TargetFaces.REFERENCE
    return SwapOptions(
        target_faces=TargetFaces(chosen.get("target_faces", meant)),
        spec=chosen.get("spec"),
        video=None if video is None else VideoOptions(**video),
        mapping=tuple(chosen.get("mapping", ())),
        reference_face_id=chosen.get("reference_face_id"),
        distance=chosen.get("distance"),
        order=chosen.get("order"),
        filter=chosen.get("filter"),
        source_asset_ids=tuple(chosen.get("source_asset_ids", ())),
    )
