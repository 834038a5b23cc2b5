"""One process that swaps one clip, or only runs models: for scaling, and for memory over length.

It says ``ready`` when its models are open, waits for a line, and answers with one line of JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Final

import cv2

from benchmarks.engine.clips import SOURCE, photo
from benchmarks.engine.measuring import MODELS_ALONE, measure_file, measure_models
from benchmarks.engine.sets import builtin_set
from inference.pipeline.engine import BUILT_IN

_WITH_CORE: Final = 4


def main() -> None:
    """Arguments: the clip, the models' folder, how many threads paint, the core for all of them.

    With ``MODELS_ALONE`` in place of the clip, the swapper's session runs and nothing else does.
    """
    model_dir, workers_count = Path(sys.argv[2]), int(sys.argv[3])
    if len(sys.argv) > _WITH_CORE:
        os.sched_setaffinity(0, {int(sys.argv[_WITH_CORE])})
    cv2.setNumThreads(1)
    models = builtin_set(model_dir)
    # Held until the end: a pool may close what nobody holds.
    opened = [models.pool.get(key) for key in BUILT_IN]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if sys.argv[1] == MODELS_ALONE:
        run = measure_models(models)
    else:
        run, _report = measure_file(
            models, Path(sys.argv[1]), source_bgr=photo(SOURCE), workers_count=workers_count
        )
    del opened
    # The kernel's other count, ru_maxrss, begins with that of the parent.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kib = int(status.split("VmHWM:")[1].split()[0])
    sys.stdout.write(json.dumps({**dataclasses.asdict(run), "peak_kib": peak_kib}))


if __name__ == "__main__":
    main()
