"""Files of rows that somebody uploads: digested block by block, never whole in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any, Final

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from tokens.errors import FileTooLargeError, UnreadableFileError
from tokens.types import RechargeSource

BY_SUFFIX: Final = {
    ".csv": RechargeSource.CSV,
    ".txt": RechargeSource.CSV,
    ".xlsx": RechargeSource.XLSX,
    ".ndjson": RechargeSource.NDJSON,
    ".jsonl": RechargeSource.NDJSON,
    ".json": RechargeSource.JSON,
}


@dataclass(frozen=True, slots=True)
class RowsFile:
    """A file of rows: open for reading, with the digest of its bytes."""

    file: IO[bytes]
    sha256: str
    source: RechargeSource


def from_upload(upload: UploadedFile[Any]) -> RowsFile:
    """An uploaded file, which Django keeps on disk where it is large.

    Raises:
        UnreadableFileError: the ending of its name says no format that is read here.
        FileTooLargeError: more bytes than a file may have.
    """
    source = source_of(upload.name or "")
    sha256 = digest(upload.chunks())
    assert upload.file is not None, "an upload has a file"
    return RowsFile(file=upload.file, sha256=sha256, source=source)


def source_of(name: str) -> RechargeSource:
    """The format that the ending of a file's name stands for.

    Raises:
        UnreadableFileError: it stands for none that is read here.
    """
    source = BY_SUFFIX.get(PurePath(name).suffix.lower())
    if source is None:
        raise UnreadableFileError(
            _("The name of the file must end in .csv, .xlsx, .ndjson or .json."), param="file"
        )
    return source


def digest(blocks: Iterable[bytes], *, copy_to: IO[bytes] | None = None) -> str:
    """SHA-256 of a stream in hex, which is copied on the way where that is wanted.

    Raises:
        FileTooLargeError: more bytes than a file may have.
    """
    sha256 = hashlib.sha256()
    size = 0
    for block in blocks:
        size += len(block)
        if size > settings.RECHARGE_FILE_BYTES_MAX:
            raise FileTooLargeError(
                _("A file has at most %(max)d bytes.") % {"max": settings.RECHARGE_FILE_BYTES_MAX},
                bytes_max=settings.RECHARGE_FILE_BYTES_MAX,
            )
        sha256.update(block)
        if copy_to is not None:
            copy_to.write(block)
    return sha256.hexdigest()
