"""What a job has found out about its frames; bounded, and gone with the job."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

ValueT = TypeVar("ValueT")
_ENTRIES_MAX: Final = 256


class AnalysisCache(Generic[ValueT]):
    """Keeps the newest results by key, such as (asset, frame number); thread-safe.

    A key names the frame, so that no frame is ever hashed and two frames never share a result.
    """

    def __init__(self, *, entries_max: int = _ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, ValueT] = OrderedDict()
        self.hits_count = 0
        self.misses_count = 0

    def get(self, key: Hashable, make: Callable[[], ValueT]) -> ValueT:
        """The value of a key, made on the first call.

        Two threads that ask for the same new key at once may both make it; the first one stays.
        """
        with self._lock:
            if key in self._values:
                self.hits_count += 1
                self._values.move_to_end(key)
                return self._values[key]
            self.misses_count += 1
        value = make()
        with self._lock:
            kept = self._values.setdefault(key, value)
            self._values.move_to_end(key)
            while len(self._values) > self._entries_max:
                self._values.popitem(last=False)
        return kept

    def __len__(self) -> int:
        return len(self._values)
