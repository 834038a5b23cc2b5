"""Runs several items at once where a file allows it, and one after another where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.pipeline.sessions.loading import LoadedModel

Array = NDArray[Any]


def run_batch(model: LoadedModel, feed: Mapping[str, Array]) -> tuple[Array, ...]:
    """Run N items; each input and output has them along its first dimension."""
    if model.takes_batches:
        return model.run(feed)
    count = len(next(iter(feed.values())))
    rows = [
        model.run({name: value[index : index + 1] for name, value in feed.items()})
        for index in range(count)
    ]
    return tuple(np.concatenate(parts) for parts in zip(*rows, strict=True))
