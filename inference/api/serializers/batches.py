"""Batches of jobs on the wire."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from facefusion_site.common.serializers import StrictIntegerField, StrictUUIDField
from inference.api.serializers.fields import LowerCaseChoiceField
from inference.api.serializers.jobs import StartDeadlineField
from inference.api.serializers.options import SwapOptionsSerializer, to_options
from inference.api.serializers.quotes import QuoteCreateSerializer
from inference.batch_selectors import ACCEPTED, BatchDetail
from inference.models import JobBatch
from inference.services import BatchOrder, BatchPreview, BatchRow
from tokens.types import Operation


class ImageSetSerializer(serializers.Serializer[Any]):
    """One face onto many pictures."""

    source_asset_id = StrictUUIDField()
    target_asset_ids = serializers.ListField(
        child=StrictUUIDField(), min_length=1, max_length=settings.JOB_BATCH_ROWS_MAX
    )
    options = SwapOptionsSerializer(required=False)


class BatchCreateSerializer(serializers.Serializer[Any]):
    """Many swaps: listed one by one, or as one face onto many pictures."""

    mode = LowerCaseChoiceField(
        JobBatch.Mode.values,
        default=JobBatch.Mode.SOFT_FAIL.lower(),
        help_text=_("soft_fail: good rows become jobs; atomic: all or none."),
    )
    jobs: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=QuoteCreateSerializer(),
        required=False,
        min_length=1,
        max_length=settings.JOB_BATCH_ROWS_MAX,
    )
    image_set = ImageSetSerializer(required=False)
    max_tokens = StrictIntegerField(
        min_value=1, required=False, help_text=_("Refuse the batch if it costs more.")
    )
    start_deadline_s = StartDeadlineField()
    dry_run = serializers.BooleanField(
        default=False, help_text=_("Only price the rows and look at them.")
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Either form, not both."""
        if ("jobs" in attrs) == ("image_set" in attrs):
            raise serializers.ValidationError(_("Send either “jobs” or “image_set”."))
        return attrs

    def to_order(self) -> BatchOrder:
        """The validated batch as a value of the app."""
        given = self.validated_data
        return BatchOrder(
            rows=tuple(self._rows()),
            mode=JobBatch.Mode(given["mode"].upper()),
            max_tokens=given.get("max_tokens"),
            start_deadline_s=given.get("start_deadline_s"),
        )

    def _rows(self) -> list[BatchRow]:
        given = self.validated_data
        if "jobs" in given:
            return [
                BatchRow(
                    source_asset_id=row["source_asset_id"],
                    target_asset_id=row["target_asset_id"],
                    operation=Operation(row["operation"]),
                    options=to_options(row.get("options", {})),
                )
                for row in given["jobs"]
            ]
        image_set = given["image_set"]
        options = to_options(image_set.get("options", {}))
        return [
            BatchRow(
                source_asset_id=image_set["source_asset_id"],
                target_asset_id=target_id,
                operation=Operation.IMAGE_SWAP,
                options=options,
            )
            for target_id in image_set["target_asset_ids"]
        ]


class RowOutcomeSerializer(serializers.Serializer[Any]):
    """What became of one row."""

    row = serializers.IntegerField(help_text=_("From 1 up, in the order of the request."))
    code = serializers.CharField(help_text=_("accepted, or the code of the error."))
    job_id = serializers.UUIDField(allow_null=True)
    tokens = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField(allow_blank=True)
    param = serializers.CharField(allow_null=True)


class BatchReceiptSerializer(serializers.Serializer[Any]):
    """What became of the tokens of all its jobs."""

    quoted = serializers.IntegerField()
    held = serializers.IntegerField()
    settled = serializers.IntegerField()
    refunded = serializers.IntegerField()


class BatchSerializer(serializers.Serializer[BatchDetail]):
    """A batch of jobs."""

    id = serializers.UUIDField(source="batch.id")
    mode = LowerCaseChoiceField(JobBatch.Mode.values, source="batch.mode")
    rows_count = serializers.IntegerField(source="batch.rows_count")
    accepted_count = serializers.IntegerField(source="batch.accepted_count")
    refused_count = serializers.SerializerMethodField()
    tokens = serializers.IntegerField(
        source="batch.tokens", help_text=_("The price of all accepted rows.")
    )
    states = serializers.DictField(
        child=serializers.IntegerField(),
        help_text=_("How many of its jobs are in each state."),
    )
    receipt = BatchReceiptSerializer()
    rows = RowOutcomeSerializer(many=True)
    created_at = serializers.DateTimeField(source="batch.created_at")

    def get_refused_count(self, detail: BatchDetail) -> int:
        """Rows that became no job."""
        return detail.batch.rows_count - detail.batch.accepted_count


class BatchPreviewSerializer(serializers.Serializer[BatchPreview]):
    """What a batch would do at this moment; the wallet was not looked at."""

    tokens = serializers.IntegerField()
    rows = serializers.SerializerMethodField()

    def get_rows(self, preview: BatchPreview) -> list[dict[str, Any]]:
        """As a batch would list them, without jobs."""
        nothing = {"job_id": None, "tokens": None, "detail": "", "param": None}
        priced = [
            {**nothing, "row": number, "code": ACCEPTED, "tokens": quote.tokens}
            for number, quote in preview.quotes.items()
        ]
        refused = [{**nothing, **refusal} for refusal in preview.refusals]
        return sorted([*priced, *refused], key=lambda row: int(row["row"]))
