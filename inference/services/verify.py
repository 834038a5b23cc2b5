"""Whether a file came from here, for anybody who asks. Nothing tells who made it or for whom."""

from __future__ import annotations

import hashlib
from typing import IO, Final

from django.conf import settings
from django.utils.translation import gettext as _

from inference import decoding, labelling, probing
from inference.errors import UploadTooLargeError
from inference.models import ReleasedFile
from inference.pipeline.labels.facts import LabelError
from inference.probing import LabelFacts
from inference.types import Origin, Verdict

_BLOCK_BYTES: Final = 1024 * 1024


def verify_digest(*, sha256: str) -> Verdict:
    """What is known of the file with this digest.

    Args:
        sha256: 64 hex digits, in any case.
    """
    digest = sha256.lower()
    released = ReleasedFile.objects.filter(sha256=digest).first()
    if released is None:
        return Verdict(origin=Origin.UNKNOWN, sha256=digest)
    return _original(released)


def verify_file(*, file: IO[bytes]) -> Verdict:
    """What is known of a file, by its digest, else by the labels of ours in it.

    A process of its own reads the labels, within limits; a file that breaks it has none.

    Args:
        file: an open binary file; read up to the size limit, and not kept.

    Raises:
        UploadTooLargeError: more bytes than may be sent here; its digest may.
        ServiceUnavailableError: no process can be started that reads files.
    """
    with decoding.spooled() as copy:
        digest = _copied(file, copy)
        released = ReleasedFile.objects.filter(sha256=digest).first()
        if released is not None:
            return _original(released)
        found = _labels_of(copy)
    return _by_labels(found, digest)


def verify_too_large() -> UploadTooLargeError:
    """The refusal of a file with more bytes than may be sent here."""
    megabytes = settings.VERIFY_BYTES_MAX // (1024 * 1024)
    return UploadTooLargeError(
        _("At most %(megabytes)d MB can be checked. Of larger files, send the SHA-256.")
        % {"megabytes": megabytes},
        param="file",
        bytes_max=settings.VERIFY_BYTES_MAX,
    )


def _copied(file: IO[bytes], copy: IO[bytes]) -> str:
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK_BYTES):
        size += len(block)
        if size > settings.VERIFY_BYTES_MAX:
            raise verify_too_large()
        digest.update(block)
        copy.write(block)
    copy.flush()
    return digest.hexdigest()


def _labels_of(copy: IO[bytes]) -> LabelFacts | None:
    try:
        chains = labelling.own_certificates()
    except LabelError:
        # Nobody signs here yet, so nothing can be signed by us.
        return None
    return probing.labels_in(copy, chains=chains)


def _original(released: ReleasedFile) -> Verdict:
    return Verdict(
        origin=Origin.ORIGINAL,
        sha256=released.sha256,
        content_type=released.content_type,
        made_on=released.made_on,
        labels=tuple(released.labels),
    )


def _by_labels(found: LabelFacts | None, digest: str) -> Verdict:
    if found is None or not (found.is_signed or found.made_on):
        return Verdict(origin=Origin.UNKNOWN, sha256=digest)
    return Verdict(
        origin=Origin.ORIGINAL if found.is_unchanged else Origin.EDITED,
        sha256=digest,
        content_type=found.content_type,
        made_on=found.made_on,
        labels=found.kinds,
    )
