"""Productions as clients and files describe them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import (
    StrictCharField,
    StrictIntegerField,
    StrictUUIDField,
)
from productions.types import PERSON_REF_PATTERN, ConsentKind, PersonOrder, ProductionOrder

TOKENS_MAX = 1_000_000_000
RETRIES_MAX = 5
CONSENTS = [kind.lower() for kind in ConsentKind.values]


class ConsentSerializer(serializers.Serializer[Any]):
    """How the person has agreed."""

    kind = serializers.ChoiceField(choices=CONSENTS)
    text_version = StrictCharField(
        max_length=64, help_text=_("Of the text that the person agreed to.")
    )
    expires_at = serializers.DateTimeField(
        allow_null=True, default=None, help_text=_("Null: it does not end by itself.")
    )


class PersonCreateSerializer(serializers.Serializer[Any]):
    """Somebody whose face is used."""

    ref = serializers.RegexField(
        rf"\A{PERSON_REF_PATTERN}\Z", help_text=_("What the rows call the person.")
    )
    name = StrictCharField(max_length=128, allow_blank=True, default="")
    face_asset_id = StrictUUIDField(help_text=_("An upload of yours with the face."))
    token_quota = StrictIntegerField(
        min_value=0, max_value=TOKENS_MAX, allow_null=True, default=None
    )
    job_quota = StrictIntegerField(min_value=0, max_value=TOKENS_MAX, allow_null=True, default=None)
    consent = ConsentSerializer()


class ProductionCreateSerializer(serializers.Serializer[Any]):
    """A project with its people; its rows come with the manifest."""

    name = StrictCharField(max_length=128)
    people: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=PersonCreateSerializer(), min_length=1, max_length=settings.PRODUCTION_PEOPLE_MAX
    )
    budget = StrictIntegerField(
        min_value=1,
        max_value=TOKENS_MAX,
        allow_null=True,
        default=None,
        help_text=_("What the wallet is recharged with; null: what the estimate says."),
    )
    is_automatic = serializers.BooleanField(
        default=True, help_text=_("The platform starts, tries again and finishes it by itself.")
    )
    retries_max = StrictIntegerField(
        min_value=0,
        max_value=RETRIES_MAX,
        default=1,
        help_text=_("How often a row is tried again by itself after a fault of ours."),
    )

    def to_order(self) -> ProductionOrder:
        """The validated production as a value of the app."""
        given = dict(self.validated_data)
        people = tuple(_person(person) for person in given.pop("people"))
        return ProductionOrder(people=people, **given)


def _person(given: dict[str, Any]) -> PersonOrder:
    consent = given["consent"]
    return PersonOrder(
        ref=given["ref"],
        name=given["name"],
        face_asset_id=given["face_asset_id"],
        token_quota=given["token_quota"],
        job_quota=given["job_quota"],
        consent_kind=ConsentKind(consent["kind"].upper()),
        consent_text_version=consent["text_version"],
        consent_expires_at=consent["expires_at"],
    )
