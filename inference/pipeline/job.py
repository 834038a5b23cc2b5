"""What a job prepares once: its identities, its painter, and who plays whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from inference.pipeline.analysis.analyser import (
    AnalysisOptions,
    FaceAnalyser,
    FoundFaces,
    largest_first,
)
from inference.pipeline.analysis.recognisers import embed_face, embed_faces
from inference.pipeline.engine import RECOGNISER, Engine
from inference.pipeline.enhancers.face import FaceEnhancer
from inference.pipeline.enhancers.frame import FrameEnhancer
from inference.pipeline.errors import (
    InvalidOptionsError,
    NoFaceFoundError,
    SeveralFacesError,
    Where,
)
from inference.pipeline.frame import Assignment, Painter
from inference.pipeline.masks.combine import MaskMaker
from inference.pipeline.masks.cover import CoverHint
from inference.pipeline.selection.casting import Cast, Director, Role
from inference.pipeline.selection.select import in_order
from inference.pipeline.sessions.loading import LoadedModel
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swappers.base import PreparedSource, SourcePicture
from inference.pipeline.swappers.catalogue import open_swapper
from inference.pipeline.swappers.latent import NEUTRAL_WEIGHT, mean_embedding
from inference.pipeline.types import (
    Embedding,
    Face,
    IdentityObserver,
    Image,
    Landmarks,
    Observer,
)

# A source has to be seen better than a target: everything in the result hangs on it.
_SOURCE_SCORE_MIN: Final = 0.8


@dataclass(frozen=True, slots=True)
class IdentityPictures:
    """Pictures of one person whose face is put onto others.

    Attributes:
        images_bgr: (H, W, 3) uint8 BGR each; of each the largest face counts.
        takes_largest: False insists on exactly one face in each picture.
        points: of each picture x, y in px inside the face that counts, or None; empty: of none.
    """

    images_bgr: Sequence[Image]
    takes_largest: bool = False
    points: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True, slots=True)
class TargetPerson:
    """A person of the target: shown by a picture of her, by her embedding, or by her place.

    Attributes:
        image_bgr: (H, W, 3) uint8 BGR, often the target itself or a frame of it; None where one of
            the others says who is meant.
        identity: number of the identity that she gets; None: she is known, and left as she is.
        point: x, y in px inside her face, where the picture shows several; None: the face at
            ``selector.reference_position`` in the selector's order.
        embedding: of her face, by ``SwapRequest.matcher``.
        box_xyxy: left, top, right, bottom in px: where her face is in a single picture.
    """

    image_bgr: Image | None = None
    identity: int | None = 0
    point: tuple[float, float] | None = None
    embedding: Embedding | None = None
    box_xyxy: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class SwapRequest:
    """What is to be swapped, and how.

    Attributes:
        spec: how to swap.
        identities: whose faces are put onto others; at least one.
        people: for the modes reference (one) and mapping: who is meant.
        matcher: key of the recogniser that tells people apart, the one that made the embeddings of
            ``people``; None: the swapper's own.
        pixels_max: most pixels of a picture that is enlarged; None sets no limit. That of videos is
            among their own limits.
    """

    spec: SwapSpec
    identities: Sequence[IdentityPictures]
    people: Sequence[TargetPerson] = ()
    matcher: str | None = None
    pixels_max: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """All that stays the same from frame to frame; threads may share it."""

    engine: Engine
    spec: SwapSpec
    analyser: FaceAnalyser
    painter: Painter
    director: Director
    identities: tuple[PreparedSource, ...]
    identity_embeddings: tuple[Embedding, ...]
    recogniser: str
    matcher: str
    frame_enhancer: FrameEnhancer | None

    def assign(self, image_bgr: Image, cast: Cast, *, cover: CoverHint | None = None) -> Assignment:
        """What the painter needs for one face; ``cover`` is known from earlier frames."""
        return self.assign_all(image_bgr, [cast], covers=[cover])[0]

    def assign_all(
        self, image_bgr: Image, casts: Sequence[Cast], *, covers: Sequence[CoverHint | None]
    ) -> list[Assignment]:
        """What the painter needs for the faces of one picture; ``covers`` as for ``assign``."""
        embeddings: Sequence[Embedding | None] = [None] * len(casts)
        swapper = self.painter.swapper
        if swapper.recogniser is not None and self.spec.swapper.weight != NEUTRAL_WEIGHT:
            embeddings = embed_faces(
                self.engine.model(swapper.recogniser),
                image_bgr=image_bgr,
                faces=[cast.face.landmarks for cast in casts],
            )
        return [
            Assignment(
                face=cast.face,
                source=self.identities[cast.identity],
                embedding=embedding,
                cover=cover,
            )
            for cast, embedding, cover in zip(casts, embeddings, covers, strict=True)
        ]

    def embed(self, image_bgr: Image, landmarks: Landmarks) -> Embedding:
        """Identity of a face by the recogniser that tells the people of the target apart."""
        model = self.engine.model(self.matcher)
        return embed_face(model, image_bgr=image_bgr, landmarks=landmarks)


def tell_identities(job: Job, observer: Observer) -> None:
    """Report whose faces the job takes, to an observer that wants to know."""
    if isinstance(observer, IdentityObserver):
        observer.identities(job.identity_embeddings, recogniser=job.recogniser)


def prepare_job(*, engine: Engine, request: SwapRequest) -> Job:
    """Open the models, find the sources' faces, and work out who is meant.

    Raises:
        InvalidOptionsError: a mode without the people it needs, or an unknown identity.
        NoFaceFoundError: a source has no usable face; ``source``. A reference has none; ``target``.
        SeveralFacesError: a source has several where one is needed.
        ContentBlockedError: the deployment refuses a source.
        PipelineError: a model is missing, altered or not allowed.
    """
    _check_people(request)
    spec = request.spec
    for identity in request.identities:
        for image_bgr in identity.images_bgr:
            engine.safety.require(image_bgr, where="source")
    swapper = open_swapper(engine.pool, spec.swapper)
    finder = FaceAnalyser(engine.pool, _analysis(spec, score_min=_SOURCE_SCORE_MIN))
    analyser = FaceAnalyser(engine.pool, _analysis(spec, score_min=spec.detector.score_min))
    pictures = [_source_pictures(finder, analyser, identity) for identity in request.identities]
    recogniser = swapper.recogniser or RECOGNISER
    model = engine.model(recogniser)
    embeddings = [
        mean_embedding(
            [
                embed_face(model, image_bgr=picture.image_bgr, landmarks=picture.landmarks)
                for picture in of_one
            ]
        )
        for of_one in pictures
    ]
    matcher = request.matcher or recogniser
    roles = [_role(analyser, engine.model(matcher), spec, person) for person in request.people]
    return Job(
        engine=engine,
        spec=spec,
        analyser=analyser,
        painter=Painter(
            swapper=swapper,
            masks=MaskMaker(engine.pool, spec.masks),
            enhancer=_enhancer(engine, spec),
            colour=spec.colour,
        ),
        director=Director(analyser=analyser, options=spec.selector, roles=roles),
        identities=tuple(swapper.prepare(of_one) for of_one in pictures),
        identity_embeddings=tuple(embeddings),
        recogniser=recogniser,
        matcher=matcher,
        frame_enhancer=_frame_enhancer(engine, spec),
    )


def _frame_enhancer(engine: Engine, spec: SwapSpec) -> FrameEnhancer | None:
    if spec.frame_enhancer is None:
        return None
    return FrameEnhancer(engine.pool, spec.frame_enhancer)


def _enhancer(engine: Engine, spec: SwapSpec) -> FaceEnhancer | None:
    if spec.face_enhancer is None:
        return None
    occluders = spec.masks.occluders if "occlusion" in spec.masks.kinds else ()
    return FaceEnhancer(engine.pool, spec.face_enhancer, blur=spec.masks.blur, occluders=occluders)


def _check_people(request: SwapRequest) -> None:
    spec, identities, people = request.spec, request.identities, request.people
    if not identities or not all(identity.images_bgr for identity in identities):
        raise InvalidOptionsError("sources", "at least one picture is needed")
    mode = spec.selector.mode
    meant = [person.identity for person in people if person.identity is not None]
    if mode == "reference" and len(meant) != 1:
        raise InvalidOptionsError("selector.mode", "reference needs one picture of who is meant")
    if mode == "mapping" and not meant:
        raise InvalidOptionsError("selector.mode", "mapping needs to know who is meant")
    if mode not in ("reference", "mapping") and len(identities) > 1:
        raise InvalidOptionsError("sources", f"the mode '{mode}' takes one identity")
    if any(not 0 <= identity < len(identities) for identity in meant):
        raise InvalidOptionsError("mapping", "names an identity that the job does not have")


def _analysis(spec: SwapSpec, *, score_min: float) -> AnalysisOptions:
    detector = spec.detector
    if score_min != detector.score_min:
        detector = replace(detector, score_min=max(score_min, detector.score_min))
    return AnalysisOptions(
        detector=detector, landmarker=spec.landmarker, allow_race=spec.allow_race
    )


def _source_pictures(
    finder: FaceAnalyser, analyser: FaceAnalyser, identity: IdentityPictures
) -> list[SourcePicture]:
    pictures = []
    points = identity.points or [None] * len(identity.images_bgr)
    for image_bgr, point in zip(identity.images_bgr, points, strict=True):
        if point is not None:
            # Somebody chose this face: it need not be seen as well as one that is just found.
            face = _face_at(usable(analyser.find(image_bgr), where="source"), point, where="source")
            pictures.append(SourcePicture(image_bgr=image_bgr, landmarks=face.landmarks))
            continue
        faces = usable(finder.find(image_bgr), where="source")
        if len(faces) > 1 and not identity.takes_largest:
            raise SeveralFacesError("source", len(faces))
        pictures.append(SourcePicture(image_bgr=image_bgr, landmarks=faces[0].landmarks))
    return pictures


def usable(found: FoundFaces, *, where: Where) -> list[Face]:
    """The faces of a picture, largest first; at least one.

    Raises:
        NoFaceFoundError: none at all, or all are turned too far to the side.
    """
    if not found.faces:
        raise NoFaceFoundError(where, turned_away_count=found.turned_away_count)
    return largest_first(found.faces)


def _role(analyser: FaceAnalyser, model: LoadedModel, spec: SwapSpec, person: TargetPerson) -> Role:
    if person.box_xyxy is not None:
        box_xyxy = np.asarray(person.box_xyxy, dtype=np.float32)
        return Role(identity=person.identity, box_xyxy=box_xyxy)
    if person.embedding is not None:
        return Role(identity=person.identity, embedding=person.embedding)
    if person.image_bgr is None:
        raise InvalidOptionsError("mapping", "nothing says who is meant")
    face = _meant(analyser, spec, person.image_bgr, person.point)
    embedding = embed_face(model, image_bgr=person.image_bgr, landmarks=face.landmarks)
    return Role(identity=person.identity, embedding=embedding)


def _meant(
    analyser: FaceAnalyser, spec: SwapSpec, image_bgr: Image, point: tuple[float, float] | None
) -> Face:
    faces = usable(analyser.find(image_bgr), where="target")
    if point is not None:
        return _face_at(faces, point, where="target")
    ordered = in_order(faces, spec.selector.order)
    position = spec.selector.reference_position
    if position >= len(ordered):
        raise InvalidOptionsError(
            "selector.reference_position", f"the reference has {len(ordered)} usable faces"
        )
    return ordered[position]


def _face_at(faces: Sequence[Face], point: tuple[float, float], *, where: Where) -> Face:
    """The face around a point; of several, the one whose middle is nearest."""
    x, y = point
    inside = [face for face in faces if _is_inside(face, x, y)]
    if not inside:
        raise NoFaceFoundError(where)
    return min(inside, key=lambda face: _distance_px(face, x, y))


def _distance_px(face: Face, x: float, y: float) -> float:
    left, top, right, bottom = face.detection.box_xyxy
    return float(np.hypot((left + right) / 2 - x, (top + bottom) / 2 - y))


def _is_inside(face: Face, x: float, y: float) -> bool:
    left, top, right, bottom = face.detection.box_xyxy
    return bool(left <= x <= right and top <= y <= bottom)
