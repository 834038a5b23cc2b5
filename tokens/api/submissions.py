"""From a request to a recharge: whatever shape the rows arrive in, one order and one row source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from rest_framework.request import Request

from facefusion_site.common import idempotency
from tokens import services
from tokens.api import uploads
from tokens.api.serializers.recharge_requests import (
    RechargeCreateSerializer,
    RechargeUploadSerializer,
)
from tokens.recharge_files import RowRules, read_rows
from tokens.recharge_rows import StagedRow, staged
from tokens.recharge_uploads import RowsFile
from tokens.types import RechargeOrder, RechargeRequest, RechargeSource


@dataclass(frozen=True, slots=True)
class Submission:
    """What a request asks for; ``pointer`` names the rows in its body."""

    order: RechargeOrder
    rows: Callable[[], Iterable[StagedRow]]
    is_dry_run: bool
    pointer: str


def submission(request: Request) -> Submission:
    """Read a request in JSON, in a stream of rows, or with a file in a form.

    Raises:
        ValidationError: a parameter is missing or wrong.
        UnreadableFileError: the file is of no format that is read here.
        FileTooLargeError: more bytes than a file may have.
        RechargeTooLargeError: more lines than one JSON body may have.
    """
    data = request.data
    if isinstance(data, RowsFile):
        return _from_file(data, parameters=request.query_params)
    if request.FILES or (request.content_type or "").startswith("multipart/"):
        return _from_file(uploads.from_form(data), parameters=data)
    return _from_json(data)


def file_rows(
    rows_file: RowsFile, *, head: RechargeUploadSerializer
) -> Callable[[], Iterable[StagedRow]]:
    """A source that reads the file from its beginning each time."""
    rules = RowRules(
        template=head.template(),
        amount=head.validated_data.get("amount"),
        cell_length_max=settings.RECHARGE_CELL_LENGTH_MAX,
        bytes_max=settings.RECHARGE_FILE_BYTES_MAX,
    )
    return partial(read_rows, rows_file.file, source=rows_file.source, rules=rules)


def _from_file(rows_file: RowsFile, *, parameters: object) -> Submission:
    head = RechargeUploadSerializer(data=parameters)
    head.is_valid(raise_exception=True)
    sent = {name: value for name, value in head.validated_data.items() if name != "dry_run"}
    fingerprint = idempotency.fingerprint([rows_file.source, rows_file.sha256, sent])
    return Submission(
        order=head.order(source=rows_file.source, fingerprint=fingerprint),
        rows=file_rows(rows_file, head=head),
        is_dry_run=head.validated_data["dry_run"],
        pointer="#/rows",
    )


def _from_json(data: object) -> Submission:
    body = RechargeCreateSerializer(data=data)
    body.is_valid(raise_exception=True)
    is_filter = "filter" in body.validated_data
    order = body.order(
        source=RechargeSource.FILTER if is_filter else RechargeSource.JSON,
        fingerprint=body.fingerprint(),
    )
    rows: Callable[[], Iterable[StagedRow]]
    if is_filter:
        rows = partial(
            services.filtered_rows,
            order=order,
            users=body.users_filter(),
            amount=body.validated_data["amount"],
        )
    else:
        rows = partial(_listed_rows, body.to_request())
    return Submission(
        order=order,
        rows=rows,
        is_dry_run=body.validated_data["dry_run"],
        pointer="#/lines" if "lines" in body.validated_data else "#/users",
    )


def _listed_rows(request: RechargeRequest) -> Iterable[StagedRow]:
    return (staged(item, terms=request.terms) for item in request.items)
