"""What a GPU is doing, by NVIDIA's management library; nothing where there is none."""

from __future__ import annotations

from dataclasses import dataclass

import pynvml


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one moment.

    Attributes:
        name: as the driver calls it.
        percent: share of the last second or so in which it computed, 0..100.
        memory_used_bytes: by all processes.
        memory_total_bytes: what it has.
    """

    name: str
    percent: int
    memory_used_bytes: int
    memory_total_bytes: int


def read(*, index: int) -> GpuReading | None:
    """The GPU with this number; None without a driver, without that GPU, or when it is lost.

    Opens and closes the library each time: a driver that is restarted is then found again.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return GpuReading(
            name=str(pynvml.nvmlDeviceGetName(handle)),
            percent=int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            memory_used_bytes=int(memory.used),
            memory_total_bytes=int(memory.total),
        )
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
