"""The process that reads untrusted media: it forks a child per file, and only the child can break.

It is started with an environment without secrets, loads the decoders once, and then waits on its
standard input, a socket, for orders. An order is a byte with three file descriptors: a channel, the
file, and a place for what is made of it. The child limits itself before it looks at anything,
writes its process id and then its answer to the channel, and ends.
"""

from __future__ import annotations

import base64
import gc
import json
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

# Loaded before the first order: a child inherits them ready.
from inference.pipeline import image_io
from inference.pipeline.errors import PipelineError
from inference.pipeline.labels.reading import read_labels
from inference.pipeline.labels.signing import LabelTrust
from inference.pipeline.video.preview import preview_frame
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.types import VideoLimits

_DESCRIPTORS_COUNT: Final = 3
_IMAGE_FORMATS: Final[tuple[image_io.ImageFormat, ...]] = ("jpeg", "png", "webp")
_ORDER_BYTES_MAX: Final = 64 * 1024
# Tests break a child on purpose; see ``inference.decoding.Decoder``.
FAULT_VARIABLE: Final = "DECODE_FAULT"


def main() -> None:
    """Fork a child for each order until nobody can send any more."""
    # Children are not waited for: whoever sent the order sees the end of the channel.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # A terminal's Ctrl-C is for the program that started this one, whose end ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _warm_up()
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    # A child must not be able to take orders that are meant for others.
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - Path.open() has no plain twin
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(control, 1, _DESCRIPTORS_COUNT)
        if not message:
            return
        try:
            is_child = os.fork() == 0
        except OSError:
            # The closed channel tells it.
            is_child = False
        if is_child:
            control.close()
            _serve(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _warm_up() -> None:
    """Read a picture of our own in each format: what is loaded on first use is then there."""
    black_bgr = np.zeros((8, 8, 3), dtype=np.uint8)
    limits = image_io.ImageLimits(pixels_max=64, side_max_px=8)
    for name in _IMAGE_FORMATS:
        data = image_io.encode_image(black_bgr, format=name)
        image_io.normalise_image(data, limits=limits, thumbnail_side_px=4)


def _serve(channel_fd: int, file_fd: int, out_fd: int) -> None:
    """Do one order and end this process."""
    status = 1
    try:
        channel = socket.socket(fileno=channel_fd)
        channel.sendall(f"{os.getpid()}\n".encode())
        order: dict[str, Any] = json.loads(_read_all(channel))
        _limit_resources(order["limits"])
        _misbehave()
        answer = _WORK[order["work"]](order, file_fd, out_fd)
        channel.sendall(json.dumps(answer).encode())
        status = 0
    except MemoryError:
        # The channel ends without an answer, as after a crash.
        status = 2
    finally:
        os._exit(status)


def _read_all(channel: socket.socket) -> bytes:
    data = b""
    while block := channel.recv(_ORDER_BYTES_MAX):
        data += block
    return data


def _limit_resources(limits: dict[str, int]) -> None:
    memory, cpu_s, out_bytes = limits["memory_bytes"], limits["cpu_s"], limits["out_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (out_bytes, out_bytes))
    # Nobody catches it: it ends the process, also inside a decoder.
    signal.setitimer(signal.ITIMER_REAL, limits["wall_s"])


def _misbehave() -> None:
    fault = os.environ.get(FAULT_VARIABLE)
    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while fault == "spin":
        pass
    if fault == "sleep":
        signal.pause()


def _normalise(order: dict[str, Any], file_fd: int, out_fd: int) -> dict[str, Any]:
    with os.fdopen(file_fd, "rb", closefd=False) as file:
        data = file.read()
    try:
        made = image_io.normalise_image(
            data,
            limits=image_io.ImageLimits(**order["image_limits"]),
            thumbnail_side_px=order["thumbnail_side_px"],
        )
    except PipelineError as error:
        return {"error": error.code, "detail": str(error)}
    with os.fdopen(out_fd, "wb", closefd=False) as out:
        out.write(made.data)
    return {
        "content_type": made.info.content_type,
        "width_px": made.info.width,
        "height_px": made.info.height,
        "thumbnail": base64.b64encode(made.thumbnail).decode(),
    }


def _look_into(order: dict[str, Any], _file_fd: int, _out_fd: int) -> dict[str, Any]:
    limits = VideoLimits(**order["video_limits"])
    path = Path(order["path"])
    try:
        info = probe_video(path, limits=limits)
        poster_bgr = preview_frame(path, time_s=Fraction(0), limits=limits)
    except PipelineError as error:
        return {"error": error.code, "detail": str(error)}
    return {
        "duration_ms": max(1, math.ceil(info.duration_s * 1000)),
        "fps": float(info.fps),
        "frames_count": info.frames_count,
        "has_audio": any(stream.kind == "audio" for stream in info.streams),
        "width_px": info.width,
        "height_px": info.height,
        "poster": base64.b64encode(
            image_io.thumbnail(poster_bgr, side_px=order["thumbnail_side_px"])
        ).decode(),
    }


def _read_labels(order: dict[str, Any], file_fd: int, _out_fd: int) -> dict[str, Any]:
    trust = LabelTrust(chains=[chain.encode() for chain in order["chains"]])
    with os.fdopen(file_fd, "rb", closefd=False) as file:
        found = read_labels(file, content_type=order["content_type"], trust=trust)
    return {
        "signature": found.signature,
        "kinds": found.kinds,
        "day": None if found.aigc_day is None else found.aigc_day.isoformat(),
    }


_WORK: Final[dict[str, Callable[[dict[str, Any], int, int], dict[str, Any]]]] = {
    "normalise_image": _normalise,
    "look_into_video": _look_into,
    "read_labels": _read_labels,
}


if __name__ == "__main__":
    main()
