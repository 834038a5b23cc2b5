"""Checks whose faces a quote names, and whether they may be named so."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence, Set
from typing import Final

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from inference import face_selectors, face_transitions, selectors
from inference.errors import SourceNotAPictureError
from inference.face_errors import FaceNotFoundError, InvalidMappingError
from inference.face_selectors import FaceSet
from inference.models import MediaAsset, SwapQuote
from inference.sandbox_media import MEDIA
from inference.types import SwapOptions, TargetFaces
from trust import selectors as trust_selectors
from trust.selectors import ConsentStanding
from trust.types import ConsentUse

# Longer than the promise and the hold together, so that a job that waits finds its faces.
_MARGIN_S: Final = 60 * 60
_USES: Final = {
    MediaAsset.Kind.IMAGE.value: ConsentUse.IMAGE_SWAP,
    MediaAsset.Kind.VIDEO.value: ConsentUse.VIDEO_SWAP,
}


def check_casting(
    *,
    owner_id: int,
    source: MediaAsset,
    target: MediaAsset,
    options: SwapOptions,
    consents: ConsentStanding,
) -> None:
    """Refuse faces and further sources that no job could use; keep those that are named.

    Args:
        owner_id: who asks.
        source: the quote's source, a picture that the owner may name.
        target: its target, likewise.
        options: what is asked for.
        consents: what the owner has vouched for about the sources.

    Raises:
        ConsentRequiredError: nobody has vouched for the face of a source.
        ConsentRevokedError: the consent for one was revoked.
        AssetNotFoundError: a further source does not exist or is somebody else's.
        SourceNotAPictureError: a further source is a video.
        FacesNotReadyError: the faces of an upload were not asked for, or are not found yet.
        FacesExpiredError: they were forgotten after their time.
        FaceNotFoundError: a face is not in the upload that it should be in.
        InvalidMappingError: options that do not go together, or say something twice.
    """
    _check_fit(options)
    sources = [source, *_further_sources(owner_id, source, options)]
    for index, asset in enumerate(sources):
        # The magic pictures of a sandbox show nobody.
        if asset.pk in MEDIA:
            continue
        consents.require(asset_id=asset.pk, use=_USES[target.kind], param=_source_param(index))
    used: list[FaceSet] = []
    if options.mapping:
        used = _check_mapping(sources, target, options)
    if options.reference_face_id is not None:
        known = face_selectors.known_faces(asset=target, param="options.reference_face_id")
        _require({face.pk for face in known.faces}, options.reference_face_id, "reference_face_id")
        used = [known]
    if used:
        keep_s = settings.QUOTE_TTL_S + settings.HOLD_TTL_S + _MARGIN_S
        face_transitions.keep_until(
            search_ids=[known.search.pk for known in used],
            moment=timezone.now() + dt.timedelta(seconds=keep_s),
        )


def require_consents(*, quote: SwapQuote) -> None:
    """Ask again whether the sources of a quote may be used.

    Raises:
        ConsentRequiredError: nobody has vouched for one, or not any more.
        ConsentRevokedError: the consent for one was revoked since.
    """
    further = [uuid.UUID(asset_id) for asset_id in quote.options.get("source_asset_ids", ())]
    asset_ids = [quote.source_id, *further]
    consents = trust_selectors.consent_standing(owner_id=quote.owner_id, asset_ids=asset_ids)
    for asset_id in asset_ids:
        consents.require(asset_id=asset_id, use=_USES[quote.target.kind], param="quote_id")


def _source_param(index: int) -> str:
    return f"options.source_asset_ids.{index - 1}" if index else "source_asset_id"


def _check_fit(options: SwapOptions) -> None:
    is_mapping = options.target_faces is TargetFaces.MAPPING
    is_reference = options.target_faces is TargetFaces.REFERENCE
    if is_mapping and not options.mapping:
        raise InvalidMappingError(_("The mapping is empty."), param="options.mapping")
    if options.mapping and not is_mapping:
        raise InvalidMappingError(
            _("A mapping needs “target_faces” to be “mapping”."), param="options.mapping"
        )
    if is_mapping and options.filter is not None:
        raise InvalidMappingError(
            _("A mapping names its faces: it takes no filter."), param="options.filter"
        )
    if is_reference and options.reference_face_id is None:
        raise InvalidMappingError(
            _("Nothing says which face is meant."), param="options.reference_face_id"
        )
    if options.reference_face_id is not None and not is_reference:
        raise InvalidMappingError(
            _("A reference needs “target_faces” to be “reference”."),
            param="options.reference_face_id",
        )
    if options.distance is not None and not (is_mapping or is_reference):
        raise InvalidMappingError(
            _("A distance needs a reference or a mapping."), param="options.distance"
        )


def _further_sources(owner_id: int, source: MediaAsset, options: SwapOptions) -> list[MediaAsset]:
    found: list[MediaAsset] = []
    for index, asset_id in enumerate(options.source_asset_ids):
        param = f"options.source_asset_ids.{index}"
        asset = selectors.asset(owner_id=owner_id, asset_id=asset_id, param=param)
        if asset.kind != MediaAsset.Kind.IMAGE:
            raise SourceNotAPictureError(_("A further source is a video."), param=param)
        if asset in (source, *found):
            raise InvalidMappingError(_("A source is named twice."), param=param)
        found.append(asset)
    return found


def _check_mapping(
    sources: Sequence[MediaAsset], target: MediaAsset, options: SwapOptions
) -> list[FaceSet]:
    in_target = face_selectors.known_faces(asset=target, param="target_asset_id")
    # A source that is the target itself gives its faces to others in it.
    in_sources = [
        face_selectors.known_faces(
            asset=asset,
            param=_source_param(index),
        )
        for index, asset in enumerate(sources)
    ]
    target_ids = {face.pk for face in in_target.faces}
    whose = {face.pk: index for index, known in enumerate(in_sources) for face in known.faces}
    for index, pair in enumerate(options.mapping):
        _require(target_ids, pair.target_face_id, f"mapping.{index}.target_face_id")
        _require(whose.keys(), pair.source_face_id, f"mapping.{index}.source_face_id")
        if pair in options.mapping[:index]:
            raise InvalidMappingError(_("A pair is named twice."), param=f"options.mapping.{index}")
    idle = set(range(len(sources))) - {whose[pair.source_face_id] for pair in options.mapping}
    if idle:
        unused = min(idle)
        raise InvalidMappingError(
            _("No face of a source is used."),
            param=_source_param(unused),
        )
    return [in_target, *in_sources]


def _require(known: Set[uuid.UUID], face_id: uuid.UUID, param: str) -> None:
    if face_id not in known:
        raise FaceNotFoundError(_("The upload has no face with this id."), param=f"options.{param}")
