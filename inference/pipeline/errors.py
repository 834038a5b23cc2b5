"""What can go wrong in the pipeline, each with a stable code."""

from __future__ import annotations

from typing import Literal

Where = Literal["source", "target"]
ContentWhere = Literal["source", "target", "result"]


class PipelineError(Exception):
    """Base of every expected failure; ``code`` is stable and safe to show to clients."""

    code: str = "pipeline_failed"


class UnsupportedImageError(PipelineError):
    """The bytes are not a JPEG, PNG or still WebP image."""

    code = "unsupported_image"


class UnreadableImageError(PipelineError):
    """The bytes claim to be a supported image but are damaged or cut short."""

    code = "unreadable_image"


class ImageTooLargeError(PipelineError):
    """The picture has too many pixels, too long a side or an absurd shape."""

    code = "image_too_large"


class ModelMissingError(PipelineError):
    """A model file is not where the registry expects it, or nobody described it."""

    code = "model_missing"


class ModelMismatchError(PipelineError):
    """A model file, or the runtime that loaded it, is not what models.toml describes."""

    code = "model_mismatch"


class ModelNotAllowedError(PipelineError):
    """The licence of a model does not fit the policy of this deployment."""

    code = "model_not_allowed"


class ModelNotPinnedError(PipelineError):
    """Nobody has said which bytes a model file must have, so it is not taken in."""

    code = "model_not_pinned"


class ModelDownloadError(PipelineError):
    """No source delivered a model file, or this deployment does not use the network."""

    code = "model_download_failed"


class InvalidOptionsError(PipelineError):
    """An option has a value that it cannot have.

    Attributes:
        param: which one, as a path such as ``detector.size_px``.
    """

    code = "invalid_options"

    def __init__(self, param: str, reason: str) -> None:
        super().__init__(f"{param}: {reason}")
        self.param = param


class ResultTooLargeError(InvalidOptionsError):
    """Frames would be enlarged beyond what a result may have."""

    code = "result_too_large"


class StoppedError(PipelineError):
    """The observer asked the run to stop."""

    code = "stopped"

    def __init__(self, stage: str) -> None:
        super().__init__(f"the run was stopped at stage '{stage}'")
        self.stage = stage


class NoFaceFoundError(PipelineError):
    """A picture has no face that can be used.

    Attributes:
        where: which picture, ``source`` or ``target``.
        turned_away_count: faces that were seen but are turned too far to the side.
    """

    def __init__(self, where: Where, *, turned_away_count: int = 0) -> None:
        reason = (
            "the face is turned too far to the side" if turned_away_count else "no face was found"
        )
        super().__init__(f"{reason} in the {where} picture")
        self.code = f"no_face_in_{where}"
        self.where = where
        self.turned_away_count = turned_away_count


class SeveralFacesError(PipelineError):
    """A picture has several faces where exactly one is needed.

    Attributes:
        where: which picture, ``source`` or ``target``.
        count: how many usable faces it has.
    """

    def __init__(self, where: Where, count: int) -> None:
        super().__init__(f"the {where} picture has {count} faces, exactly one is needed")
        self.code = f"several_faces_in_{where}"
        self.where = where
        self.count = count


class ContentBlockedError(PipelineError):
    """The deployment's classifiers object to a picture or a video.

    Attributes:
        where: ``source``, ``target`` or ``result``.
        objectors: keys of the classifiers that objected.
    """

    def __init__(self, where: ContentWhere, objectors: tuple[str, ...]) -> None:
        super().__init__(f"{', '.join(objectors)} object to the {where}")
        self.code = f"content_blocked_in_{where}"
        self.where = where
        self.objectors = objectors


class SafetyUnavailableError(PipelineError):
    """Content has to be checked and cannot be: nothing passes until that is repaired."""

    code = "safety_unavailable"
