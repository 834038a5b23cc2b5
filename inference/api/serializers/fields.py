"""Fields that several of these need."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

UNKNOWN: Final = _("This field is not known.")


class LowerCaseChoiceField(serializers.ChoiceField):
    """Choices that are lower case on the wire and upper case in rows."""

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        super().__init__(choices=[str(choice).lower() for choice in choices], **kwargs)

    def to_representation(self, value: Any) -> str:
        return str(value).lower()


def absolute(serializer: serializers.BaseSerializer[Any], name: str, **ids: uuid.UUID) -> str:
    """The full address of a route, as the client of this request reaches it."""
    url: str = serializer.context["request"].build_absolute_uri(reverse(name, kwargs=ids))
    return url
