"""Swaps the faces of one frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from inference.pipeline.aligner import AlignedFace, align_face, crop_matrix, scale_of
from inference.pipeline.enhancers.face import FaceEnhancer
from inference.pipeline.masks.combine import MaskMaker
from inference.pipeline.masks.cover import CoverHint
from inference.pipeline.paste.blend import paste_into
from inference.pipeline.paste.colour import ColourOptions
from inference.pipeline.swappers.base import PreparedSource, Swapper, SwapTarget
from inference.pipeline.types import Embedding, Face, Floats, Image

# A crop reaches this much further than the box of its face, on each side.
_CROP_MARGIN = 0.5


@dataclass(frozen=True, slots=True)
class Assignment:
    """Whose face goes onto which face of the frame.

    Attributes:
        face: the target.
        source: the person, as the swapper prepared it.
        embedding: the target's own identity, where the swapper weighs it in.
        cover: what earlier frames say about hair and spectacles in front of it.
    """

    face: Face
    source: PreparedSource
    embedding: Embedding | None = None
    cover: CoverHint | None = None


@dataclass(frozen=True, slots=True)
class Painter:
    """How a job swaps and pastes; threads may share it.

    Attributes:
        swapper: makes the new faces.
        masks: says where they are painted.
        enhancer: works on each face after its swap; None: none does.
        colour: how far the new faces take on the colours of their targets.
    """

    swapper: Swapper
    masks: MaskMaker
    enhancer: FaceEnhancer | None = None
    colour: ColourOptions = field(default_factory=ColourOptions)


def swap_frame(
    image_bgr: Image,
    *,
    painter: Painter,
    assignments: Sequence[Assignment],
    on_faces: Callable[[int], None] = lambda _count: None,
) -> Image:
    """Swap faces, small ones first, so that a near face covers a far one and not the reverse.

    Faces that lie apart go through the model together; a face that overlaps an earlier one is cut
    out of the frame in which that one is swapped already.

    Args:
        image_bgr: (H, W, 3) uint8 BGR, not written to.
        painter: how the job swaps.
        assignments: which faces to swap.
        on_faces: told how many faces are done, before each run; may raise to end the work.

    Returns:
        (H, W, 3) uint8 BGR; the same pixels outside the faces.
    """
    result, swapper = image_bgr.copy(), painter.swapper
    waiting = sorted(assignments, key=lambda assignment: assignment.face.area_px)
    while waiting:
        on_faces(len(assignments) - len(waiting))
        group, waiting = _next_group(swapper, waiting)
        targets = [
            SwapTarget(
                aligned=_align(result, swapper, assignment.face),
                embedding=assignment.embedding,
                cover=assignment.cover,
            )
            for assignment in group
        ]
        crops = swapper.swap(targets, group[0].source)
        masks = painter.masks.make_all([target.aligned for target in targets], crops)
        for target, crop, mask in zip(targets, crops, masks, strict=True):
            paste_into(
                result,
                crop_bgr=crop.crop_bgr,
                mask=mask,
                matrix=target.aligned.matrix,
                colour_strength=painter.colour.strength,
            )
        if painter.enhancer is not None:
            faces = [assignment.face for assignment in group]
            painter.enhancer.enhance_all(result, faces, seen_bgr=image_bgr)
    return result


def _next_group(
    swapper: Swapper, waiting: list[Assignment]
) -> tuple[list[Assignment], list[Assignment]]:
    """The faces that one run can take: one person's, of one crop size, none over another."""
    group = [waiting[0]]
    size = _crop_size(swapper, waiting[0].face)
    for assignment in waiting[1:]:
        fits = (
            assignment.source is group[0].source
            and _crop_size(swapper, assignment.face) == size
            and not any(_touch(assignment.face, other.face) for other in group)
        )
        if not fits:
            break
        group.append(assignment)
    return group, waiting[len(group) :]


def _crop_size(swapper: Swapper, face: Face) -> int:
    unit = crop_matrix(face.landmarks.five, template=swapper.template, size_px=1)
    return swapper.crop_size_px(face_px=1 / scale_of(unit))


def _align(image_bgr: Image, swapper: Swapper, face: Face) -> AlignedFace:
    return align_face(
        image_bgr,
        landmarks=face.landmarks,
        template=swapper.template,
        size_px=_crop_size(swapper, face),
    )


def _touch(first: Face, second: Face) -> bool:
    a, b = _reach(first), _reach(second)
    return bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())


def _reach(face: Face) -> Floats:
    """(4,) float32 xyxy: the part of the frame that swapping a face may read or change."""
    box = face.detection.box_xyxy
    margin = (box[2:] - box[:2]) * np.float32(_CROP_MARGIN)
    return np.concatenate([box[:2] - margin, box[2:] + margin])
