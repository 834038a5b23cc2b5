"""Checks of files on the wire."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from inference.types import Origin

SHA256: Final = r"^[0-9a-fA-F]{64}\Z"
ORIGINS: Final = [origin.value for origin in Origin]
_LABELS: Final = ["visible", "c2pa", "iptc", "aigc"]


class DigestSerializer(serializers.Serializer[Any]):
    """A file that stays where it is."""

    sha256 = serializers.RegexField(SHA256, help_text=_("64 hex digits."))


class VerifyFileSerializer(serializers.Serializer[Any]):
    """A file to look into; it is not kept."""

    file = serializers.FileField(
        allow_empty_file=True, help_text=_("Any file; labels are found in pictures and videos.")
    )


class VerdictSerializer(serializers.Serializer[Any]):
    """What is known of a file. Who made it, and for whom, is never told."""

    origin = serializers.ChoiceField(
        choices=ORIGINS,
        help_text=_(
            "original: exactly this file was made here. edited: it carries a label that we signed, "
            "and is not the file that we handed out. unknown: nothing says that it is from here."
        ),
    )
    sha256 = serializers.CharField()
    # picture or video. As a choice, the schema would leave out that it may be null.
    kind = serializers.CharField(allow_null=True)
    made_on = serializers.DateField(allow_null=True, help_text=_("The day, in UTC."))
    labels = serializers.ListField(child=serializers.ChoiceField(choices=_LABELS))
