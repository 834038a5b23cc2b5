"""Uploads that their owners delete."""

from __future__ import annotations

import uuid

from inference import media_handlers, selectors


def delete_asset(*, owner_id: int, asset_id: uuid.UUID) -> None:
    """Delete an upload: when this returns, its bytes and its faces are gone.

    The row stays, because receipts name it. Deleting one that is deleted already does nothing.

    Raises:
        AssetNotFoundError: there is no such upload, or it is somebody else's.
        AssetInUseError: a job that has not ended needs it.
        OSError: the storage is broken: nobody can use the upload, and the purge removes the rest.
    """
    asset = selectors.any_asset(owner_id=owner_id, asset_id=asset_id)
    media_handlers.delete_now(asset_id=asset.pk)
