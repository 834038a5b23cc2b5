from __future__ import annotations

import io

from django.core.management.base import OutputWrapper

from facefusion_site.common.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bytes_are_drawn_in_megabytes_and_not_at_every_chunk() -> None:
    stream = Terminal()
    progress = Progress(OutputWrapper(stream))
    for done in range(0, 400_000_000, 1_000_000):
        progress.reach(done, 400_000_000, "model.onnx")
    progress.reach(400_000_000, 400_000_000, "model.onnx")
    drawn = stream.getvalue().split("\r\x1b[2K")[1:]
    assert drawn[-1] == f"[{'#' * 30}] 400/400 MB model.onnx"
    assert len(drawn) < 100


def test_an_unknown_size_shows_what_has_come() -> None:
    stream = Terminal()
    Progress(OutputWrapper(stream)).reach(5_000_000, 0, "model.onnx")
    assert stream.getvalue().endswith("5 MB model.onnx")


def test_nothing_is_drawn_where_nobody_watches() -> None:
    stream = io.StringIO()
    progress = Progress(OutputWrapper(stream), total=2)
    progress.step("one")
    progress.reach(1, 1, "two")
    progress.finish()
    assert stream.getvalue() == ""
