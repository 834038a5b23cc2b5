"""Magic uploads: every sandbox may name them in jobs, and each forces an outcome.

They are rows like other uploads, shared by all sandboxes and owned by the platform, so that no
account can fetch, change or delete them. Live accounts are refused.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from django.utils.translation import gettext as _
from PIL import Image

from accounts import selectors as accounts_selectors
from accounts import services as accounts_services
from inference import selectors, storage
from inference.media_errors import SandboxMediaError
from inference.models import MediaAsset

_SIDE_PX: Final = 64
_COLOUR: Final = (18, 173, 145)
_CONTENT_TYPE: Final = "image/png"


class Outcome(StrEnum):
    """What becomes of a job that names a magic upload."""

    OK = "ok"
    NO_FACE = "no_face"
    TWO_FACES = "two_faces"
    BLOCKED = "blocked"
    SLOW = "slow"
    FAIL = "fail"


MEDIA: Final[Mapping[uuid.UUID, Outcome]] = MappingProxyType(
    {
        uuid.UUID(f"00000000-7e57-4000-8000-{number:012d}"): outcome
        for number, outcome in enumerate(Outcome, start=1)
    }
)


def outcome_of(asset_id: uuid.UUID) -> Outcome | None:
    """What this upload forces; None for an ordinary one."""
    return MEDIA.get(asset_id)


def input_asset(*, owner_id: int, asset_id: uuid.UUID, param: str) -> MediaAsset:
    """An upload that a job of the owner may name: its own, complete or not, or a magic one.

    Raises:
        SandboxMediaError: it is magic, and the owner is no sandbox.
        DomainError: as ``selectors.asset``.
    """
    if asset_id in MEDIA:
        _require_sandbox(owner_id, param=param)
        return _magic_asset(asset_id)
    return selectors.asset(owner_id=owner_id, asset_id=asset_id, param=param, may_be_pending=True)


def magic_assets(*, owner_id: int, asset_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, MediaAsset]:
    """Those of the uploads that are magic; none where the owner is no sandbox."""
    named = MEDIA.keys() & set(asset_ids)
    if not named or not accounts_selectors.is_sandbox(user_id=owner_id):
        return {}
    return {asset_id: _magic_asset(asset_id) for asset_id in named}


def refuse(*, param: str) -> SandboxMediaError:
    """The refusal of a magic upload in a live account."""
    return SandboxMediaError(
        _("This upload is for trying things out with a test key."), param=param
    )


def _require_sandbox(owner_id: int, *, param: str) -> None:
    if not accounts_selectors.is_sandbox(user_id=owner_id):
        raise refuse(param=param)


def _magic_asset(asset_id: uuid.UUID) -> MediaAsset:
    """The shared row, made with its file at its first use."""
    found = MediaAsset.objects.filter(pk=asset_id).first()
    if found is not None:
        return found
    data = _encoded("PNG")
    key = storage.asset_key(asset_id=asset_id, content_type=_CONTENT_TYPE)
    storage.write_picture(key=key, data=data, thumbnail=_encoded("JPEG"))
    digest = hashlib.sha256(data).hexdigest()
    row, is_new = MediaAsset.objects.get_or_create(
        pk=asset_id,
        defaults={
            "owner_id": accounts_services.system_user(),
            "file_key": key,
            "original_name": f"sandbox-{MEDIA[asset_id]}.png",
            "content_type": _CONTENT_TYPE,
            "size_bytes": len(data),
            "width_px": _SIDE_PX,
            "height_px": _SIDE_PX,
            "sha256": digest,
            "received_sha256": digest,
            "received_bytes": len(data),
        },
    )
    if not is_new:
        storage.delete_media(key)
    return row


def _encoded(file_format: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (_SIDE_PX, _SIDE_PX), _COLOUR).save(out, file_format)
    return out.getvalue()
