"""Whose faces go onto whom in one job: from the ids in its options to pixels and embeddings."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings

from inference import storage
from inference.models import AssetFace, MediaAsset
from inference.pipeline import image_io
from inference.pipeline.errors import PipelineError
from inference.pipeline.types import Embedding, Image
from inference.types import VIDEO_TYPES, Claim, FacePair, SwapOptions, TargetFaces

if TYPE_CHECKING:
    from inference.pipeline.job import SwapRequest
    from inference.pipeline.spec import SwapSpec


class FacesGoneError(PipelineError):
    """A face or a picture that the job names was deleted since its price was promised."""

    code = "faces_gone"


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """A picture a face is taken from: (H, W, 3) uint8 BGR.

    ``point`` is x, y in px inside the face that is meant; None insists on one face.
    """

    image_bgr: Image
    point: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the target.

    Attributes:
        identity: number of the identity she is given; None leaves her as she is.
        box_xyxy: in px: in a picture, where her face is.
        embedding: in a video, who she is.
    """

    identity: int | None
    box_xyxy: tuple[float, float, float, float] | None = None
    embedding: Embedding | None = None


@dataclass(frozen=True, slots=True)
class Casting:
    """The pictures of each identity, and the people of the target that were named.

    Those that are mapped come first, in the order of ``mapped``.
    """

    identities: tuple[tuple[SourcePicture, ...], ...]
    people: tuple[Person, ...] = ()


def load(claim: Claim) -> Casting:
    """Read the pictures and the faces that a job names.

    Raises:
        FacesGoneError: one of them was deleted.
        PipelineError: a picture cannot be read.
    """
    options = claim.options
    if options.target_faces is TargetFaces.MAPPING:
        return _mapping(claim)
    further = {
        asset.pk: asset.file_key
        for asset in MediaAsset.objects.filter(
            pk__in=options.source_asset_ids, status=MediaAsset.Status.READY
        )
    }
    if len(further) < len(options.source_asset_ids):
        raise FacesGoneError("a further source was deleted")
    keys = [claim.source_key, *(further[asset_id] for asset_id in options.source_asset_ids)]
    people: tuple[Person, ...] = ()
    if options.reference_face_id is not None:
        face = _faces([options.reference_face_id])[options.reference_face_id]
        people = (Person(identity=0, embedding=_embedding(face)),)
    return Casting(
        identities=(tuple(SourcePicture(_read(key)) for key in keys),),
        people=people,
    )


def mapped(pairs: Iterable[FacePair]) -> dict[uuid.UUID, tuple[uuid.UUID, ...]]:
    """The source faces of each target face, in the order in which they are named."""
    sources: dict[uuid.UUID, list[uuid.UUID]] = {}
    for pair in pairs:
        sources.setdefault(pair.target_face_id, []).append(pair.source_face_id)
    return {target: tuple(of_one) for target, of_one in sources.items()}


def outcome(options: SwapOptions, *, frames: Sequence[int]) -> dict[str, Any]:
    """What became of the people that a job named, for its report; empty where it named nobody.

    Args:
        options: the job's.
        frames: in how many frames each was swapped, in the order of ``Casting.people``; a picture
            is one frame.
    """
    named = mapped(options.mapping)
    if options.reference_face_id is not None:
        named = {options.reference_face_id: ()}
    people = [
        {
            "target_face_id": str(target),
            "source_face_ids": [str(source) for source in sources],
            "frames_swapped": frames[index] if index < len(frames) else 0,
        }
        for index, (target, sources) in enumerate(named.items())
    ]
    return {"people": people} if people else {}


def to_request(casting: Casting, *, spec: SwapSpec, pixels_max: int | None = None) -> SwapRequest:
    """The engine's words for a casting."""
    # The engine's modules load OpenCV and ONNX Runtime: workers only.
    from inference.pipeline.engine import RECOGNISER  # noqa: PLC0415
    from inference.pipeline.job import (  # noqa: PLC0415
        IdentityPictures,
        SwapRequest,
        TargetPerson,
    )

    return SwapRequest(
        spec=spec,
        identities=[
            IdentityPictures(
                images_bgr=[picture.image_bgr for picture in pictures],
                points=[picture.point for picture in pictures],
            )
            for pictures in casting.identities
        ],
        people=[
            TargetPerson(
                identity=person.identity, box_xyxy=person.box_xyxy, embedding=person.embedding
            )
            for person in casting.people
        ],
        # The stored embeddings are all of this one.
        matcher=RECOGNISER if casting.people else None,
        pixels_max=pixels_max,
    )


def _mapping(claim: Claim) -> Casting:
    named = mapped(claim.options.mapping)
    faces = _faces({*named, *(source for sources in named.values() for source in sources)})
    is_video = claim.target_content_type in VIDEO_TYPES.values()
    numbers: dict[tuple[uuid.UUID, ...], int] = {}
    people = [
        _person(faces[target], numbers.setdefault(sources, len(numbers)), is_video=is_video)
        for target, sources in named.items()
    ]
    if is_video:
        # Whoever is known and not meant keeps her face, however alike two people are.
        search_id = faces[next(iter(named))].search_id
        others = AssetFace.objects.filter(search_id=search_id).exclude(pk__in=named)
        people += [_person(face, None, is_video=True) for face in others.order_by("index")]
    images: dict[str, Image] = {}
    return Casting(
        identities=tuple(
            tuple(_chosen(faces[source], images) for source in sources) for sources in numbers
        ),
        people=tuple(people),
    )


def _faces(face_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, AssetFace]:
    wanted = set(face_ids)
    rows = AssetFace.objects.filter(pk__in=wanted).select_related("search__asset")
    found = {face.pk: face for face in rows}
    if len(found) < len(wanted):
        raise FacesGoneError("a face was forgotten")
    return found


def _person(face: AssetFace, identity: int | None, *, is_video: bool) -> Person:
    if is_video:
        return Person(identity=identity, embedding=_embedding(face))
    box_xyxy = (face.left_px, face.top_px, face.right_px, face.bottom_px)
    return Person(identity=identity, box_xyxy=box_xyxy)


def _chosen(face: AssetFace, images: dict[str, Image]) -> SourcePicture:
    key = face.search.asset.file_key
    if key not in images:
        images[key] = _read(key)
    point = ((face.left_px + face.right_px) / 2, (face.top_px + face.bottom_px) / 2)
    return SourcePicture(images[key], point)


def _embedding(face: AssetFace) -> Embedding:
    raw = np.frombuffer(face.embedding, dtype="<f4").astype(np.float32)
    return Embedding(raw=raw, unit=raw / max(float(np.linalg.norm(raw)), 1e-12))


def _read(key: str) -> Image:
    limits = image_io.ImageLimits(
        pixels_max=settings.IMAGE_PIXELS_MAX, side_max_px=settings.IMAGE_SIDE_MAX_PX
    )
    return image_io.decode_image(storage.read(key), limits=limits)
