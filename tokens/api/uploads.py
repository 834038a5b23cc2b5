"""Files of rows in requests: spooled to disk, digested on the way, never whole in memory."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any, Final

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import BaseParser

from tokens.errors import FileTooLargeError, UnreadableFileError
from tokens.types import RechargeSource

BLOCK_BYTES: Final = 64 * 1024
SPOOL_BYTES: Final = 1024 * 1024
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BY_SUFFIX: Final = {
    ".csv": RechargeSource.CSV,
    ".txt": RechargeSource.CSV,
    ".xlsx": RechargeSource.XLSX,
    ".ndjson": RechargeSource.NDJSON,
    ".jsonl": RechargeSource.NDJSON,
}


@dataclass(frozen=True, slots=True)
class RowsFile:
    """A file of rows: open for reading, with the digest of its bytes."""

    file: IO[bytes]
    sha256: str
    source: RechargeSource


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
        return RowsFile(file=spool, sha256=_copy(blocks, spool), source=self.source)


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


def from_upload(upload: UploadedFile[Any]) -> RowsFile:
    """An uploaded file, which Django keeps on disk where it is large.

    Raises:
        UnreadableFileError: the ending of its name says no format that is read here.
        FileTooLargeError: more bytes than a file may have.
    """
    source = BY_SUFFIX.get(PurePath(upload.name or "").suffix.lower())
    if source is None:
        raise UnreadableFileError(
            _("The name of the file must end in .csv, .xlsx or .ndjson."), param="file"
        )
    sha256 = _copy(upload.chunks(), None)
    assert upload.file is not None, "an upload has a file"
    return RowsFile(file=upload.file, sha256=sha256, source=source)


def _copy(blocks: Iterable[bytes] | Iterator[bytes], target: IO[bytes] | None) -> str:
    digest = hashlib.sha256()
    size = 0
    for block in blocks:
        size += len(block)
        if size > settings.RECHARGE_FILE_BYTES_MAX:
            raise FileTooLargeError(
                _("A file has at most %(max)d bytes.") % {"max": settings.RECHARGE_FILE_BYTES_MAX},
                bytes_max=settings.RECHARGE_FILE_BYTES_MAX,
            )
        digest.update(block)
        if target is not None:
            target.write(block)
    return digest.hexdigest()
