"""Runs several items at once where a file allows it, and one after another where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.pipeline.sessions.loading import LoadedModel

Array = NDArray[Any]
#: What a network holds while it runs grows with the batch, and sixteen items keep a device busy.
ITEMS_MAX: Final = 16


def run_batch(
    model: LoadedModel,
    feed: Mapping[str, Array],
    *,
    scalars: Mapping[str, Array] = MappingProxyType({}),
    items_max: int = ITEMS_MAX,
) -> tuple[Array, ...]:
    """Run N items; each input and output has them along its first dimension.

    Args:
        model: where it takes no batches, the items go through it one by one.
        feed: one array per input, N items each.
        scalars: further inputs, of one value that counts for every item.
        items_max: at most so many go through the model at a time, however many there are.
    """
    step = items_max if model.takes_batches(tuple(feed), scalars=tuple(scalars)) else 1
    count = len(next(iter(feed.values())))
    rows = []
    for start in range(0, count, step):
        part = {name: value[start : start + step] for name, value in feed.items()}
        items = min(step, count - start)
        for name, value in scalars.items():
            # A free axis that is the pictures' own wants the value once for each.
            part[name] = value if model.first_axis(name) == 1 else np.repeat(value, items)
        rows.append(model.run(part))
    if len(rows) == 1:
        return rows[0]
    return tuple(np.concatenate(parts) for parts in zip(*rows, strict=True))
