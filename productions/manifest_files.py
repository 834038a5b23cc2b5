"""Manifests as clients send them: JSON rows, or CSV. A faulty row is read as a row with a fault."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext as _
from rest_framework import serializers

from facefusion_site.common.serializers import StrictCharField, StrictUUIDField
from inference.api.serializers.options import SwapOptionsSerializer, to_options
from productions.errors import ManifestUnreadableError
from productions.types import RowOrder
from tokens.types import Operation

BYTES_MAX: Final = 5 * 1024 * 1024
REQUIRED: Final = ("person", "target_asset_id")
COLUMNS: Final = (*REQUIRED, "operation", "target_faces", "options")


class ManifestRowSerializer(serializers.Serializer[Any]):
    """One wanted job."""

    person = StrictCharField(max_length=64)
    target_asset_id = StrictUUIDField()
    operation = serializers.ChoiceField(
        choices=[operation.value for operation in Operation], required=False
    )
    options = SwapOptionsSerializer(required=False)


def read_rows(rows: Sequence[Any]) -> list[RowOrder]:
    """Rows of a JSON manifest, in their order."""
    return [_row(row) for row in rows]


def read_csv(data: bytes) -> list[RowOrder]:
    """Rows of a CSV manifest, in their order; blank lines do not count.

    Raises:
        ManifestUnreadableError: too large, no UTF-8, or without the columns that are needed.
    """
    if len(data) > BYTES_MAX:
        raise ManifestUnreadableError(
            _("A manifest has at most %(max)d bytes.") % {"max": BYTES_MAX}
        )
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        columns = [str(name).strip() for name in reader.fieldnames or ()]
        _check_columns(columns)
        reader.fieldnames = columns
        return [_csv_row(row) for row in reader]
    except UnicodeDecodeError as error:
        raise ManifestUnreadableError(_("The file is not UTF-8.")) from error
    except csv.Error as error:
        raise ManifestUnreadableError(_("The file is not well-formed CSV.")) from error


def _check_columns(columns: Sequence[str]) -> None:
    unknown = [name for name in columns if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in columns]
    if unknown or missing or len(set(columns)) < len(columns):
        raise ManifestUnreadableError(
            _("The columns are: %(columns)s.") % {"columns": ", ".join(COLUMNS)}
        )


def _csv_row(cells: dict[str, Any]) -> RowOrder:
    if None in cells:
        return _fault(cells, _("The row has more cells than there are columns."))
    sent = {name: (cell or "").strip() for name, cell in cells.items()}
    row: dict[str, Any] = {name: sent[name] for name in REQUIRED}
    if sent.get("operation"):
        row["operation"] = sent["operation"]
    try:
        options = json.loads(sent.get("options") or "{}")
    except ValueError:
        return _fault(cells, _("The options are not JSON."))
    if sent.get("target_faces") and isinstance(options, dict):
        options["target_faces"] = sent["target_faces"]
    if options:
        row["options"] = options
    return _row(row)


def _row(row: Any) -> RowOrder:
    body = ManifestRowSerializer(data=row)
    if not body.is_valid():
        return _fault(row, _first(body.errors))
    given = body.validated_data
    operation = given.get("operation")
    return RowOrder(
        person=given["person"],
        target_asset_id=given["target_asset_id"],
        operation=None if operation is None else Operation(operation),
        options=to_options(given.get("options", {})),
    )


def _fault(row: Any, detail: str) -> RowOrder:
    person = row.get("person") if isinstance(row, Mapping) else None
    return RowOrder(
        person=person if isinstance(person, str) else "",
        target_asset_id=None,
        fault=detail,
    )


def _first(errors: Any, path: str = "") -> str:
    """The first fault with the way to it."""
    if isinstance(errors, Mapping):
        for name, inner in errors.items():
            step = "" if name == "non_field_errors" else str(name)
            return _first(inner, ".".join(part for part in (path, step) if part))
    if isinstance(errors, list | tuple):
        return _first(next((error for error in errors if error), ""), path)
    return f"{path}: {errors}" if path else str(errors)
