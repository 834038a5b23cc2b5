"""Bodies that are files of rows, spooled to disk as they arrive."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any, Final

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser

from tokens.recharge_uploads import RowsFile, digest, from_upload
from tokens.types import RechargeSource

BLOCK_BYTES: Final = 64 * 1024
SPOOL_BYTES: Final = 1024 * 1024
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class RowsParser(BaseParser):
    """Reads a body of rows; ``request.data`` is then the ``RowsFile``."""

    source: RechargeSource

    def parse(  # type: ignore[override]  # DRF takes any object, its stubs know two
        self,
        stream: Any,
        media_type: str | None = None,  # DRF's signature
        parser_context: Mapping[str, Any] | None = None,
    ) -> RowsFile:
        """Spool the body."""
        blocks = iter(lambda: stream.read(BLOCK_BYTES), b"")
        # Whoever reads the rows closes it; until then it may be read again.
        spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115
        return RowsFile(file=spool, sha256=digest(blocks, copy_to=spool), source=self.source)


class NdjsonParser(RowsParser):
    """One JSON object per line."""

    media_type = "application/x-ndjson"
    source = RechargeSource.NDJSON


class CsvParser(RowsParser):
    """CSV with a header row."""

    media_type = "text/csv"
    source = RechargeSource.CSV


class XlsxParser(RowsParser):
    """An Excel workbook; its first sheet counts."""

    media_type = XLSX_TYPE
    source = RechargeSource.XLSX


def from_form(data: Any) -> RowsFile:
    """The file of a multipart form, by the ending of its name."""
    upload = data.get("file")
    if not isinstance(upload, UploadedFile):
        raise ValidationError({"file": [_("Attach a file.")]}, code="required")
    return from_upload(upload)
