"""A worker's process whose swap does what the test wants: work, crash, stand still, or vanish."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

# First, because it makes the apps ready.
from inference import work_child  # isort: skip
from inference import runtime
from inference.pipeline.types import SwapResult


def act() -> None:
    match os.environ["ACT"]:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stall":
            time.sleep(600)


def swap(*, target_bgr: Any, observer: Any, **_rest: object) -> SwapResult:
    for stage in ("detect", "prepare", "swap", "blend"):
        observer.progress(stage, 1.0)
    act()
    return SwapResult(image_bgr=target_bgr[::-1].copy(), faces=())


def swap_video(**_rest: object) -> dict[str, Any]:
    act()
    raise OSError("no video is swapped here")


if __name__ == "__main__":
    runtime.swap = swap
    runtime.swap_video = swap_video
    work_child.main(int(sys.argv[1]), int(sys.argv[2]))
