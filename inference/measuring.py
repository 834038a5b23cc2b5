"""What a piece of work takes of the machine: time, processors, memory; of the GPU too where one is.

Measured in the process that does the work, which does one piece at a time. Nothing here knows of
jobs or of Django.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pynvml

_KIB: Final = 1024
_SAMPLE_S: Final = 0.25
_STATUS: Final = Path("/proc/self/status")
_CLEAR_REFS: Final = Path("/proc/self/clear_refs")
# Tells the kernel to forget the most memory that the process had so far.
_FORGET_PEAK: Final = "5"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a piece of work took.

    Attributes:
        wall_ms: milliseconds from start to end.
        cpu_ms: milliseconds of processor cores, those of ended child processes included.
        memory_peak_bytes: the most memory that the process had at once.
        gpu_ms: milliseconds in which the GPU was busy; None where there is none. Of the whole
            card: where several processes share one, each counts all of it.
        gpu_memory_peak_bytes: the most memory of the GPU that the process had at once.
    """

    wall_ms: int
    cpu_ms: int
    memory_peak_bytes: int
    gpu_ms: int | None = None
    gpu_memory_peak_bytes: int | None = None


class Measurement:
    """Measures from ``with`` to the end of its block; then ``taken`` says what it found."""

    taken: Measured

    def __init__(self, *, gpu_index: int = 0) -> None:
        """Measure nothing yet.

        Args:
            gpu_index: the card that the process works on.
        """
        self._gpu = _GpuSampler(gpu_index)

    def __enter__(self) -> Self:
        _forget_peak()
        self._gpu.start()
        self._cpu_s = _cpu_s()
        self._start_s = time.monotonic()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        wall_s = time.monotonic() - self._start_s
        cpu_s = _cpu_s() - self._cpu_s
        gpu_ms, gpu_bytes = self._gpu.stop()
        self.taken = Measured(
            wall_ms=round(wall_s * 1_000),
            cpu_ms=round(cpu_s * 1_000),
            memory_peak_bytes=_peak_bytes(),
            gpu_ms=gpu_ms,
            gpu_memory_peak_bytes=gpu_bytes,
        )


class _GpuSampler:
    """Looks at the card four times a second; where there is none, does nothing."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._handle: Any = None
        self._busy_s = 0.0
        self._peak_bytes = 0
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByIndex(self._index)
        except pynvml.NVMLError:
            return
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[int | None, int | None]:
        """Milliseconds in which the card was busy, and the most bytes this process had on it."""
        if self._thread is None:
            return None, None
        self._is_over.set()
        self._thread.join()
        return round(self._busy_s * 1_000), self._peak_bytes

    def _watch(self) -> None:
        before = time.monotonic()
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(_SAMPLE_S)
            now = time.monotonic()
            try:
                busy = pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu
                processes = pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
            except pynvml.NVMLError:
                continue
            self._busy_s += (now - before) * busy / 100
            before = now
            # A driver that does not tell a process its memory says None.
            mine = [p.usedGpuMemory or 0 for p in processes if p.pid == os.getpid()]
            self._peak_bytes = max(self._peak_bytes, *mine, 0)


def _cpu_s() -> float:
    """Seconds of processor cores so far, of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _forget_peak() -> None:
    """Start the peak anew, where the system lets us: else it is that of the whole process."""
    try:
        _CLEAR_REFS.write_text(_FORGET_PEAK)
    except OSError:
        return


def _peak_bytes() -> int:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
