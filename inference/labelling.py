"""Who signs the labels of results here, and what they say.

The libraries that write labels take long to load: they are imported on first use, by workers alone.
"""

from __future__ import annotations

import functools
import tempfile
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils import timezone

from inference.pipeline.labels.facts import LabelError, LabelMark, Profile, visible_text
from inference.types import Claim, Release, VideoFormat

if TYPE_CHECKING:
    from inference.pipeline.labels.signing import LabelSigner
    from inference.pipeline.labels.visible import VideoStamp
    from inference.pipeline.labels.writing import Labeller

_SIGNED: Final[tuple[VideoFormat, ...]] = ("mp4", "mov")
_KEY_NAME: Final = "key.pem"
_CHAIN_NAME: Final = "certificates.pem"


@dataclass(frozen=True, slots=True)
class ResultLabels:
    """What labels one result, and what is remembered of it."""

    labeller: Labeller
    release: Release

    def release_of_video(self, container: VideoFormat) -> Release:
        """The same for a video: manifests go into MP4 and MOV alone."""
        kept = [name for name in self.release.labels if name != "c2pa" or container in _SIGNED]
        return replace(self.release, labels=tuple(kept))


def profiles_of(claim: Claim | None) -> tuple[Profile, ...]:
    """The profiles of the job's account, else of this deployment."""
    if claim is not None and claim.label_profile:
        return (claim.label_profile,)
    return settings.LABEL_PROFILES


def for_result(claim: Claim | None) -> ResultLabels:
    """Labels for a new result, with an id of its own; without a job, one of the command line.

    Raises:
        LabelError: there is no key to sign with.
    """
    from inference.pipeline.labels.writing import Labeller  # noqa: PLC0415 - see above

    mark = LabelMark(
        produce_id=uuid.uuid4(),
        made_on=timezone.now().date(),
        producer=settings.LABEL_PRODUCER,
        profiles=profiles_of(claim),
    )
    return ResultLabels(
        labeller=Labeller(mark=mark, signer=signer()),
        release=Release(produce_id=mark.produce_id, made_on=mark.made_on),
    )


def video_stamp(claim: Claim | None) -> VideoStamp:
    """What draws the visible label onto the frames of a job's video."""
    from inference.pipeline.labels.visible import VideoStamp  # noqa: PLC0415 - see above

    return VideoStamp(text=visible_text(profiles_of(claim)))


def signer() -> LabelSigner:
    """The signer of this deployment.

    Raises:
        LabelError: no key is named and none may be made, or it cannot be read.
    """
    key, chain = _credential_paths()
    return _opened(key, chain)


def own_certificates() -> tuple[bytes, ...]:
    """The certificates of all who ever signed here, the present one first; PEM.

    Raises:
        LabelError: there is no signer, or a file cannot be read.
    """
    _key, chain = _credential_paths()
    paths = (chain, *(Path(path) for path in settings.LABEL_RETIRED_CERTIFICATES))
    return tuple(_read(path) for path in paths)


def write_new_signer(folder: Path, *, organization: str) -> tuple[Path, Path]:
    """Make a key and its certificates in a new folder that only its owner may open.

    Returns:
        Where the key and the certificates are.

    Raises:
        OSError: the folder exists, or cannot be made.
    """
    from inference.pipeline.labels.certificate import make_credentials  # noqa: PLC0415 - see above

    made = make_credentials(organization=organization)
    folder.mkdir(mode=0o700)
    key, chain = folder / _KEY_NAME, folder / _CHAIN_NAME
    key.touch(mode=0o600)
    key.write_bytes(made.key_pem)
    chain.write_bytes(made.chain_pem)
    return key, chain


def _credential_paths() -> tuple[Path, Path]:
    key, chain = settings.LABEL_SIGNING_KEY, settings.LABEL_SIGNING_CERTIFICATES
    if key and chain:
        return Path(key), Path(chain)
    folder: Path | None = settings.LABEL_DEVELOPMENT_DIR
    if key or chain or folder is None:
        raise LabelError("set both LABEL_SIGNING_KEY and LABEL_SIGNING_CERTIFICATES")
    if not folder.is_dir():
        _make_development_signer(folder)
    return folder / _KEY_NAME, folder / _CHAIN_NAME


def _make_development_signer(folder: Path) -> None:
    from inference.pipeline.labels.certificate import DEVELOPMENT  # noqa: PLC0415 - see above

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as holder:
        part = Path(holder, "new")
        write_new_signer(part, organization=DEVELOPMENT)
        try:
            # Only one of several processes that start at once wins, with both of its files.
            part.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


@functools.lru_cache(maxsize=4)
def _opened(key: Path, chain: Path) -> LabelSigner:
    from inference.pipeline.labels.signing import LabelSigner  # noqa: PLC0415 - see above

    return LabelSigner(key_pem=_read(key), chain_pem=_read(chain))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error.strerror}") from error
