"""The process in which a worker reads and changes media; a crash ends it and not the worker.

It stays for many pieces of work, so that models are loaded once. Orders and answers are lines of
JSON on a socket. When the worker is gone, however it went, this process ends at once: work that
nobody waits for must not go on beside whoever takes it over.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from typing import Any, Final

import django
import structlog

# Before anything that needs the settings: this module is the start of a program.
django.setup()

from django.db import close_old_connections  # noqa: E402

from inference import face_handlers, handlers, runtime  # noqa: E402

log = structlog.get_logger(__name__)


def main(socket_fd: int, life_fd: int) -> None:
    """Do what is ordered until the worker closes the line.

    Args:
        socket_fd: orders come from here, answers go there.
        life_fd: a pipe that ends with the worker.
    """
    threading.Thread(target=_end_with, args=(life_fd,), daemon=True).start()
    line = socket.socket(fileno=socket_fd)
    with line, line.makefile("rwb") as orders:
        for order in orders:
            orders.write(json.dumps(_do(json.loads(order))).encode() + b"\n")
            orders.flush()
    runtime.holder.close()


def _end_with(life_fd: int) -> None:
    os.read(life_fd, 1)
    os._exit(1)


def _do(order: dict[str, Any]) -> dict[str, Any]:
    close_old_connections()
    try:
        with structlog.contextvars.bound_contextvars(**order["context"]):
            return {"value": _WORK[order["work"]](**order["ids"])}
    except Exception as error:
        log.exception("inference.work.broke", work=order["work"])
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        close_old_connections()


def _run_swap_job(*, job_id: str) -> bool:
    return handlers.run_swap_job(job_id=uuid.UUID(job_id))


def _run_swap_segment(*, job_id: str, index: int) -> dict[str, bool]:
    again = handlers.run_swap_segment(job_id=uuid.UUID(job_id), index=index)
    return dataclasses.asdict(again)


def _find_faces(*, search_id: str) -> bool:
    return face_handlers.find_faces(search_id=uuid.UUID(search_id))


_WORK: Final[dict[str, Callable[..., object]]] = {
    "run_swap_job": _run_swap_job,
    "run_swap_segment": _run_swap_segment,
    "find_faces": _find_faces,
}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
