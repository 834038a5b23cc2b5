"""Runs several items at once where a file allows it, and one after another where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.pipeline.sessions.loading import LoadedModel

Array = NDArray[Any]
# What a network holds while it runs grows with the batch, and sixteen items keep a device busy.
_ITEMS_MAX: Final = 16


def run_batch(model: LoadedModel, feed: Mapping[str, Array]) -> tuple[Array, ...]:
    """Run N items; each input and output has them along its first dimension.

    However many faces a picture has: at most sixteen go through the model at a time.
    """
    step = _ITEMS_MAX if model.takes_batches else 1
    count = len(next(iter(feed.values())))
    if count <= step:
        return model.run(feed)
    rows = [
        model.run({name: value[start : start + step] for name, value in feed.items()})
        for start in range(0, count, step)
    ]
    return tuple(np.concatenate(parts) for parts in zip(*rows, strict=True))
