"""The web process stays small: no OpenCV and no ONNX Runtime until a worker runs a job."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import django
django.setup()
import facefusion_site.urls, facefusion_site.wsgi, inference.tasks
print(sorted({"cv2", "onnxruntime", "onnx", "av"} & set(sys.modules)))
"""


def test_start_of_the_web_process_imports_no_heavy_library():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
