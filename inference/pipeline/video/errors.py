"""What can go wrong with a video, each with a stable code."""

from __future__ import annotations

from collections.abc import Sequence

from inference.pipeline.errors import PipelineError


class UnsupportedVideoError(PipelineError):
    """The bytes are no video of a container and codec that we read, or have no frame rate."""

    code = "unsupported_video"


class UnreadableVideoError(PipelineError):
    """The video is damaged, cut short, or has nothing that can be decoded."""

    code = "unreadable_video"


class NoVideoStreamError(PipelineError):
    """The file is a media file but has no moving picture: sound, subtitles or a cover only."""

    code = "no_video_stream"


class EncryptedVideoError(PipelineError):
    """The pictures are encrypted; there is no key."""

    code = "encrypted_video"


class VideoTooLargeError(PipelineError):
    """Too many bytes, too many pixels in a frame, or too long a side."""

    code = "video_too_large"


class VideoTooLongError(PipelineError):
    """Too many seconds, too many frames, or too many frames in a second."""

    code = "video_too_long"


class InvalidTrimError(PipelineError):
    """The wanted part of the video is empty or lies behind its end."""

    code = "invalid_trim"


class InvalidOutputError(PipelineError):
    """The asked output cannot be made: unknown container or codec, or values out of range.

    Attributes:
        available: what could be asked for instead.
    """

    code = "invalid_output"

    def __init__(self, message: str, *, available: Sequence[str] = ()) -> None:
        choice = f"; available: {', '.join(available)}" if available else ""
        super().__init__(message + choice)
        self.available = tuple(available)


class SegmentMismatchError(PipelineError):
    """Rendered segments do not fit together: one is missing, foreign or incomplete."""

    code = "segment_mismatch"
