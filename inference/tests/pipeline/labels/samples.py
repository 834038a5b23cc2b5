"""A signer, and results of every format with its labels."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import numpy as np

from inference.pipeline.labels.certificate import DEVELOPMENT, make_credentials
from inference.pipeline.labels.facts import LabelMark, Profile, visible_text
from inference.pipeline.labels.signing import LabelSigner
from inference.pipeline.labels.visible import VideoStamp
from inference.pipeline.labels.writing import Labeller
from inference.pipeline.types import Image
from inference.pipeline.video.transcode import transcode
from inference.pipeline.video.types import ContainerName, OutputOptions, TranscodeOptions
from inference.tests.pipeline.video.media import LIMITS, Clip, Watcher, make_clip

BOTH: tuple[Profile, ...] = ("cn", "eu")
VIDEO_TYPES: dict[ContainerName, str] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}


def make_signer(*, organization: str = DEVELOPMENT) -> LabelSigner:
    made = make_credentials(organization=organization)
    return LabelSigner(key_pem=made.key_pem, chain_pem=made.chain_pem)


def make_mark(*, profiles: tuple[Profile, ...] = BOTH) -> LabelMark:
    return LabelMark(
        produce_id=uuid.uuid4(),
        made_on=dt.date(2026, 11, 24),
        producer="A producer <of> & for tests",
        profiles=profiles,
    )


def noise(*, width: int = 320, height: int = 240) -> Image:
    """The worst background for a label: every pixel is another one."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def labelled_video(
    folder: Path, container: ContainerName, *, labeller: Labeller, seconds: int = 1
) -> Path:
    """A film with all its labels, made as workers do it."""
    source = make_clip(
        folder / "source.mp4",
        Clip(size=(320, 240), times=range(0, seconds * 25 * 512, 512), metadata={"title": "Film"}),
    )
    path = folder / f"result.{container}"
    transcode(
        source=source,
        target=path,
        frame_fn=lambda frame: frame.image_bgr,
        options=TranscodeOptions(
            limits=LIMITS,
            output=OutputOptions(metadata=labeller.video_tags(container), tags="public"),
            overlay=VideoStamp(text=visible_text(BOTH)),
        ),
        observer=Watcher(),
    )
    labeller.video(path, container=container, limits=LIMITS)
    return path
