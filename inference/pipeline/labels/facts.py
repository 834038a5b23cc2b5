"""What a result is labelled with, and the words and addresses of the standards."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, get_args

from inference.pipeline.errors import PipelineError

Profile = Literal["cn", "eu"]
PROFILES: Final[tuple[Profile, ...]] = get_args(Profile)
#: What people read, by the rules of the place; in this order where both apply.
TEXTS: Final[dict[Profile, str]] = {"cn": "AI 生成", "eu": "AI-generated"}
#: IPTC's term for media that were composed with the help of a trained model.
DIGITAL_SOURCE_TYPE: Final = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
# "1" in GB 45438: made by AI, beyond doubt.
_AIGC_LABEL: Final = "1"


class LabelError(PipelineError):
    """A result cannot be labelled, or its labels cannot be read back: it must not go out."""

    code = "label_failed"


@dataclass(frozen=True, slots=True)
class LabelMark:
    """What the labels of one result say. Nothing in it leads to a person.

    Attributes:
        produce_id: random, of this result alone.
        made_on: the day.
        producer: who runs the service; a name, or the code that an authority gave.
        profiles: which visible texts it carries; at least one.
    """

    produce_id: uuid.UUID
    made_on: dt.date
    producer: str
    profiles: tuple[Profile, ...]

    def aigc(self, *, proof: str) -> dict[str, str]:
        """The members of the AIGC field of GB 45438; ``proof`` is our signature of the id."""
        return {
            "Label": _AIGC_LABEL,
            "ContentProducer": self.producer,
            "ProduceID": str(self.produce_id),
            "ReservedCode1": proof,
            "ContentPropagator": self.producer,
            "PropagateID": str(self.produce_id),
            "ReservedCode2": "",
        }


def visible_text(profiles: Collection[Profile]) -> str:
    """What people read under these profiles; at least one."""
    return " · ".join(TEXTS[profile] for profile in PROFILES if profile in profiles)
