"""Wire format of productions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import (
    StrictIntegerField,
    StrictUUIDField,
)
from productions.manifest_files import ManifestRowSerializer
from productions.row_states import ROW_STATES
from productions.types import (
    RetryOrder,
    State,
)

TOKENS_MAX = 1_000_000_000
PRODUCTION_STATES = [state.lower() for state in State.values]


class LowerCaseField(serializers.ChoiceField):
    """A choice that is lower case on the wire and upper case in rows."""

    def to_representation(self, value: Any) -> str:
        return str(value).lower()


class ManifestSerializer(serializers.Serializer[Any]):
    """The rows of a manifest; each is read by itself and keeps its error."""

    rows = serializers.ListField(
        child=serializers.JSONField(), min_length=1, max_length=settings.PRODUCTION_ROWS_MAX
    )


class ManifestDocumentSerializer(serializers.Serializer[Any]):
    """The rows of a manifest, for the schema."""

    rows = ManifestRowSerializer(many=True)


class RetryRowSerializer(serializers.Serializer[Any]):
    """A row to be tried again."""

    row = StrictIntegerField(min_value=1, max_value=settings.PRODUCTION_ROWS_MAX)
    target_asset_id = StrictUUIDField(required=False, help_text=_("Another target."))


class ProductionRetrySerializer(serializers.Serializer[Any]):
    """Which rows to try again; all that can be, without any."""

    rows: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=RetryRowSerializer(), required=False, max_length=settings.PRODUCTION_ROWS_MAX
    )

    def to_orders(self) -> list[RetryOrder]:
        """The validated rows as values of the app."""
        return [
            RetryOrder(row_no=row["row"], target_asset_id=row.get("target_asset_id"))
            for row in self.validated_data.get("rows", ())
        ]


class RowQuerySerializer(serializers.Serializer[Any]):
    """Query parameters of the list of rows."""

    state = serializers.ChoiceField(choices=ROW_STATES, required=False, default=None)
    after = serializers.IntegerField(
        min_value=0, default=0, max_value=TOKENS_MAX, help_text=_("Rows behind this one.")
    )
    limit = serializers.IntegerField(min_value=1, max_value=1_000, default=100)


class ProductionSummarySerializer(serializers.Serializer[Any]):
    """A production without its progress."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    state = LowerCaseField(choices=PRODUCTION_STATES)
    budget = serializers.IntegerField(allow_null=True)
    is_automatic = serializers.BooleanField()
    retries_max = serializers.IntegerField()
    estimate = serializers.IntegerField(allow_null=True)
    estimated_at = serializers.DateTimeField(allow_null=True)
    funding_tokens = serializers.IntegerField(
        allow_null=True, help_text=_("What was asked for, whether it has come or not.")
    )
    funding_batch_id = serializers.UUIDField(allow_null=True)
    funding_error = serializers.CharField(
        help_text=_("Why the tokens did not come the last time; empty otherwise.")
    )
    return_batch_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    settled_at = serializers.DateTimeField(
        allow_null=True, help_text=_("When the unspent tokens were asked back.")
    )


class ProductionPageSerializer(serializers.Serializer[Any]):
    """A page of productions."""

    items = ProductionSummarySerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class SpendingSerializer(serializers.Serializer[Any]):
    """What became of tokens of jobs."""

    held = serializers.IntegerField(help_text=_("Set aside for jobs that have not ended."))
    settled = serializers.IntegerField(help_text=_("Paid for good."))
    refunded = serializers.IntegerField(help_text=_("Came back from jobs that cost less."))


class PersonProgressSerializer(serializers.Serializer[Any]):
    """One person's share."""

    ref = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    states = serializers.DictField(child=serializers.IntegerField())
    spending = SpendingSerializer()
    token_quota = serializers.IntegerField(allow_null=True)
    job_quota = serializers.IntegerField(allow_null=True)
    has_consent = serializers.BooleanField()


class ProductionBooksSerializer(serializers.Serializer[Any]):
    """Every token: what came, what was spent, what went back."""

    funded = serializers.IntegerField()
    spending = SpendingSerializer()
    returned = serializers.IntegerField()
    return_status = serializers.CharField(
        allow_blank=True, help_text=_("Of the batch that takes the rest back.")
    )
    left = serializers.IntegerField(
        help_text=_("Neither spent, held nor returned; 0 once all is settled.")
    )


class ProductionProgressSerializer(serializers.Serializer[Any]):
    """How far it is."""

    rows_count = serializers.IntegerField()
    states = serializers.DictField(
        child=serializers.IntegerField(), help_text=_("How many rows are in each state.")
    )
    row_errors = serializers.DictField(
        source="errors",
        child=serializers.IntegerField(),
        help_text=_("How many rows have which error."),
    )
    people = PersonProgressSerializer(many=True)
    books = ProductionBooksSerializer()


class ProductionSerializer(ProductionSummarySerializer):
    """A production with its progress and its books."""

    progress = ProductionProgressSerializer()


class ProductionRowSerializer(serializers.Serializer[Any]):
    """One row with what became of it."""

    row = serializers.IntegerField(source="row_no")
    person = serializers.CharField(allow_blank=True)
    target_asset_id = serializers.UUIDField(allow_null=True)
    operation = serializers.CharField(allow_blank=True)
    state = serializers.CharField(help_text=_("That of its job once it has one."))
    estimate = serializers.IntegerField(allow_null=True)
    job_id = serializers.UUIDField(allow_null=True)
    attempts = serializers.ListField(
        child=serializers.UUIDField(), help_text=_("All its jobs, the first one first.")
    )
    tokens = serializers.IntegerField(help_text=_("What all its jobs were charged."))
    error_code = serializers.CharField(allow_blank=True)
    error_detail = serializers.CharField(allow_blank=True)


class ProductionRowListSerializer(serializers.Serializer[Any]):
    """Rows by number; ``next_after`` is null at the end."""

    items = ProductionRowSerializer(many=True)
    next_after = serializers.IntegerField(allow_null=True)


class ProductionReportSerializer(ProductionSerializer):
    """All there is to say about a production."""

    rows = ProductionRowSerializer(many=True)
