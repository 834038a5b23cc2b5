"""Values that cross the border of the inference app."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal


class OutputMetric(StrEnum):
    """What an account has produced, in whole units."""

    JOBS = "JOBS"
    VIDEO_SECONDS = "VIDEO_SECONDS"


class TargetFaces(StrEnum):
    """Which faces of the target are replaced."""

    ONE = "one"
    LARGEST = "largest"
    ALL = "all"
    REFERENCE = "reference"
    MAPPING = "mapping"


# Names what finds and compares faces: detector, landmarks, recogniser, and how they are used. With
# others, faces may come out differently and get other ids.
FACE_MODEL_SET: Final = "face_detector_yunet+face_mesh_468+face_recogniser_sface/1"

FaceOrder = Literal[
    "left_right",
    "right_left",
    "top_bottom",
    "bottom_top",
    "small_large",
    "large_small",
    "best_worst",
    "worst_best",
]
VideoFormat = Literal["mp4", "mov", "mkv", "webm"]
# Whose rules decide on the visible label of results.
LabelProfile = Literal["cn", "eu"]
VIDEO_TYPES: Final[dict[VideoFormat, str]] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """Which part of a video is swapped, and how the result is written.

    Attributes:
        start_ms: first moment of the part, from the start of the video.
        end_ms: the moment behind the part; None is the end of the video.
        format: container of the result; None keeps the target's.
        quality: 0 (smallest file) to 100 (nearly lossless).
        fps: frames a second; None keeps every frame at its time.
    """

    start_ms: int = 0
    end_ms: int | None = None
    format: VideoFormat | None = None
    quality: int = 80
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class FacePair:
    """The face of a source that goes onto a face of the target.

    Of several pairs with one target face, the sources are pictures of one person.
    """

    source_face_id: uuid.UUID
    target_face_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class SwapOptions:
    """What the caller may choose about a swap.

    Attributes:
        target_faces: ``ONE`` refuses a target with several faces.
        spec: the engine's own options by name, checked when the swap is priced.
        video: only for a video; None for a picture.
        mapping: for ``MAPPING``: whose face goes where.
        reference_face_id: for ``REFERENCE``: the person of the target who is meant.
        distance: how far a face may be from the one it is taken for, 0..1; None: the engine's.
        order: in which target faces are counted and reported; None: the engine's.
        filter: what a target face must be like: gender, age_from, age_to, race; None: anything.
        source_asset_ids: further pictures that faces are taken from.
    """

    target_faces: TargetFaces = TargetFaces.ONE
    spec: dict[str, Any] | None = None
    video: VideoOptions | None = None
    mapping: tuple[FacePair, ...] = ()
    reference_face_id: uuid.UUID | None = None
    distance: float | None = None
    order: FaceOrder | None = None
    filter: dict[str, Any] | None = None
    source_asset_ids: tuple[uuid.UUID, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form in which quotes store the options."""
        stored: dict[str, Any] = {"target_faces": self.target_faces.value}
        if self.spec is not None:
            stored["spec"] = self.spec
        if self.video is not None:
            stored["video"] = asdict(self.video)
        if self.mapping:
            stored["mapping"] = [
                {name: str(face_id) for name, face_id in asdict(pair).items()}
                for pair in self.mapping
            ]
        if self.reference_face_id is not None:
            stored["reference_face_id"] = str(self.reference_face_id)
        if self.source_asset_ids:
            stored["source_asset_ids"] = [str(asset_id) for asset_id in self.source_asset_ids]
        plain = {"distance": self.distance, "order": self.order, "filter": self.filter}
        return stored | {name: value for name, value in plain.items() if value is not None}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> SwapOptions:
        """The inverse of ``to_json``."""
        video, reference = stored.get("video"), stored.get("reference_face_id")
        return cls(
            target_faces=TargetFaces(stored["target_faces"]),
            spec=stored.get("spec"),
            video=None if video is None else VideoOptions(**video),
            mapping=tuple(
                FacePair(**{name: uuid.UUID(str(face_id)) for name, face_id in pair.items()})
                for pair in stored.get("mapping", ())
            ),
            reference_face_id=None if reference is None else uuid.UUID(str(reference)),
            distance=stored.get("distance"),
            order=stored.get("order"),
            filter=stored.get("filter"),
            source_asset_ids=tuple(
                uuid.UUID(str(asset_id)) for asset_id in stored.get("source_asset_ids", ())
            ),
        )


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """The job that stands for a submit request; ``is_replay`` when an earlier request made it."""

    job_id: uuid.UUID
    is_replay: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's right to run one attempt of a job, and all it needs to know for that.

    ``attempt`` is the fencing token: whoever comes back with an older number changes nothing. A job
    of a sandbox gets a made-up outcome. ``label_profile`` is the account's own; None: the usual.
    """

    job_id: uuid.UUID
    attempt: int
    hold_id: uuid.UUID
    source_key: str
    target_key: str
    target_content_type: str
    segments_count: int
    options: SwapOptions
    is_sandbox: bool
    label_profile: LabelProfile | None = None


@dataclass(frozen=True, slots=True)
class FaceClaim:
    """One worker's right to one attempt to find the faces of an upload; ``attempt`` fences it."""

    search_id: uuid.UUID
    attempt: int
    asset_id: uuid.UUID
    file_key: str
    is_video: bool


@dataclass(frozen=True, slots=True)
class FaceCounts:
    """Frames that were looked at, and faces that were seen and are not among those found."""

    samples: int
    turned_away: int
    left_out: int


@dataclass(frozen=True, slots=True)
class SegmentClaim:
    """One worker's right to run one attempt of a segment; ``attempt`` is its fencing token.

    ``plan`` is the engine's description of the segment; ``job`` says what is swapped.
    """

    segment_id: int
    index: int
    attempt: int
    plan: dict[str, Any]
    job: Claim


@dataclass(frozen=True, slots=True)
class SegmentCompletion:
    """What became of a finished segment; with ``join`` the caller must join all of them now."""

    is_accepted: bool
    join: Claim | None = None


@dataclass(frozen=True, slots=True)
class SegmentOutput:
    """What one attempt of a segment produced, and what was done."""

    key: str
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FrameProgress:
    """Frames of a video that are done, out of how many, and the seconds that are left."""

    done: int
    count: int
    eta_s: int | None


@dataclass(frozen=True, slots=True)
class Resend:
    """Which messages must be sent again after a run."""

    job: bool = False
    segment: bool = False


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """A file in the media storage; ``sha256`` is 64 hex digits, the sides are upright."""

    key: str
    sha256: str
    content_type: str
    size_bytes: int
    width_px: int
    height_px: int
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video holds; ``poster`` is its first picture as a small JPEG."""

    duration_ms: int
    fps: float
    frames_count: int
    has_audio: bool
    width_px: int
    height_px: int
    poster: bytes


@dataclass(frozen=True, slots=True)
class Release:
    """What is remembered of a labelled result: the id and the day that are in its labels."""

    produce_id: uuid.UUID
    made_on: dt.date
    labels: tuple[str, ...] = ("visible", "c2pa", "iptc", "aigc")


class Origin(StrEnum):
    """Whether a file came from here."""

    ORIGINAL = "original"
    EDITED = "edited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What anybody may learn of a file.

    Attributes:
        origin: ``EDITED``: it carries a label that we signed, and is not what we handed out.
        sha256: of the file.
        content_type: empty where nothing is known.
        made_on: the day; None where it is not known.
        labels: visible, c2pa, iptc, aigc: those that it had, or of an edited one those left.
    """

    origin: Origin
    sha256: str
    content_type: str = ""
    made_on: dt.date | None = None
    labels: tuple[str, ...] = ()

    @property
    def kind(self) -> str | None:
        """Picture or video; None where nothing is known."""
        if not self.content_type:
            return None
        return "picture" if self.content_type.startswith("image/") else "video"


@dataclass(frozen=True, slots=True)
class SwapOutput:
    """What one attempt produced.

    Attributes:
        media: the stored result.
        faces: of a picture, one report on each face that was replaced.
        report: of a video, what was done to it; ``people``, where the job named some, says what
            became of them, see ``castings.outcome``.
        release: None for what a sandbox hands back, which is not made by AI.
    """

    media: StoredMedia
    faces: tuple[dict[str, object], ...] = ()
    report: dict[str, Any] = field(default_factory=dict)
    release: Release | None = None


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep did.

    Attributes:
        to_send: queued jobs whose message must be sent now.
        failed: jobs that were ended with a refund.
        segments_to_send: job and number of queued segments whose message must be sent now.
    """

    to_send: tuple[uuid.UUID, ...]
    failed: tuple[uuid.UUID, ...]
    segments_to_send: tuple[tuple[uuid.UUID, int], ...] = ()
