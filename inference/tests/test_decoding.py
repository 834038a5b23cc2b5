"""Untrusted files are read by children that may crash, hang or run away, and nothing else does."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from inference import decoding
from inference.decode_server import FAULT_VARIABLE
from inference.decoding import ChildDiedError, ChildLimits, Decoder
from inference.models import MediaAsset
from inference.tests import factories
from inference.tests.pipeline.video.media import Clip, make_clip

LIMITS = ChildLimits(memory_bytes=2 << 30, cpu_s=20, wall_s=20, out_bytes=1 << 20)
IMAGE_LIMITS = {"pixels_max": 10**6, "side_max_px": 2000}


@pytest.fixture
def decoder():
    with_server = Decoder()
    yield with_server
    with_server.close()


@pytest.fixture
def faulty(monkeypatch):
    """Children that misbehave as soon as they are told what to do."""
    made: list[Decoder] = []

    def make(fault: str) -> Decoder:
        made.append(Decoder(environment={FAULT_VARIABLE: fault}))
        monkeypatch.setattr(decoding, "decoder", made[-1])
        return made[-1]

    yield make
    for used in made:
        used.close()


def normalise(decoder: Decoder, data: bytes, *, limits: ChildLimits = LIMITS):
    with decoding.spooled() as file, decoding.spooled() as out:
        file.write(data)
        file.seek(0)
        answer = decoder.ask(
            "normalise_image",
            order={"image_limits": IMAGE_LIMITS, "thumbnail_side_px": 32},
            limits=limits,
            file=file,
            out=out,
        )
        out.seek(0)
        return answer, out.read()


def server_pids() -> set[int]:
    """Decode servers that this process started and that live."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if b"inference.decode_server" in words and int(stat[1]) == os.getpid() and stat[0] != "Z":
            found.add(int(entry.name))
    return found


def test_picture_is_read_by_a_child(decoder) -> None:
    answer, data = normalise(decoder, factories.picture())

    assert (answer["content_type"], answer["width_px"], answer["height_px"]) == (
        "image/jpeg",
        64,
        48,
    )
    assert data.startswith(b"\xff\xd8\xff")


def test_refusal_of_the_file_is_an_answer(decoder) -> None:
    answer, data = normalise(decoder, b"no picture")

    assert answer["error"] == "unsupported_image"
    assert data == b""


@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        ("crash", LIMITS),
        ("spin", ChildLimits(memory_bytes=2 << 30, cpu_s=1, wall_s=30)),
        ("sleep", ChildLimits(memory_bytes=2 << 30, cpu_s=30, wall_s=1)),
    ],
)
def test_child_that_misbehaves_ends_alone(faulty, fault, limits) -> None:
    decoder = faulty(fault)
    before = server_pids()
    decoder.warm_up()
    (server,) = server_pids() - before
    started = time.monotonic()

    for _time in range(2):
        with pytest.raises(ChildDiedError):
            normalise(decoder, factories.picture(), limits=limits)

    assert time.monotonic() - started < 15
    assert server in server_pids()


@pytest.mark.parametrize(
    "limits",
    [
        ChildLimits(memory_bytes=50 << 20, cpu_s=20, wall_s=20, out_bytes=1 << 20),
        ChildLimits(memory_bytes=2 << 30, cpu_s=20, wall_s=20, out_bytes=10),
    ],
    ids=["memory", "bytes written"],
)
def test_child_over_a_limit_ends_and_the_next_one_works(decoder, limits) -> None:
    with pytest.raises(ChildDiedError):
        normalise(decoder, factories.picture(width=900, height=900), limits=limits)

    assert normalise(decoder, factories.picture())[0]["width_px"] == 64


def test_dead_server_is_started_again(decoder) -> None:
    before = server_pids()
    decoder.warm_up()
    (server,) = server_pids() - before
    os.kill(server, signal.SIGKILL)

    assert normalise(decoder, factories.picture())[0]["width_px"] == 64


def test_threads_share_one_server(decoder) -> None:
    widths = range(40, 72)
    seen: dict[int, int] = {}

    def ask(width: int) -> None:
        seen[width] = normalise(decoder, factories.picture(width=width))[0]["width_px"]

    threads = [threading.Thread(target=ask, args=(width,)) for width in widths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == {width: width for width in widths}


def test_server_ends_with_whoever_started_it() -> None:
    before = server_pids()
    decoder = Decoder()
    decoder.warm_up()
    (server,) = server_pids() - before
    decoder.close()

    deadline = time.monotonic() + 20
    while server in server_pids() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server not in server_pids()


def test_server_is_given_no_secrets(decoder, monkeypatch) -> None:
    """What a taken-over decoder could read of its own environment."""
    monkeypatch.setenv("API_KEY_PEPPER", "secret")
    before = server_pids()
    decoder.warm_up()
    (server,) = server_pids() - before
    deadline = time.monotonic() + 20
    # Until it has become the new program it still shows ours.
    while not (raw := Path(f"/proc/{server}/environ").read_bytes()) and time.monotonic() < deadline:
        time.sleep(0.01)
    names = {entry.split(b"=")[0].decode() for entry in raw.split(b"\0") if entry}

    assert names == {"PATH", "OPENBLAS_NUM_THREADS", "PYTHONDONTWRITEBYTECODE"}


@pytest.mark.django_db
@pytest.mark.parametrize("fault", ["crash", "spin"])
@pytest.mark.parametrize("kind", ["image", "video"])
def test_upload_that_breaks_its_child_is_refused_and_leaves_nothing(
    client, settings, faulty, media_root, kind, fault
) -> None:
    settings.IMAGE_DECODE_TIMEOUT_S = settings.VIDEO_PROBE_TIMEOUT_S = 1
    client.force_login(factories.make_user())
    media_root.mkdir()
    made = media_root / "clip.mp4"
    data = factories.picture() if kind == "image" else make_clip(made, Clip()).read_bytes()
    made.unlink(missing_ok=True)
    faulty(fault)

    answer = client.post("/api/v1/assets", {"file": io.BytesIO(data)})

    code = f"unreadable_{kind}"
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not MediaAsset.objects.exists()
    assert not [path for path in media_root.rglob("*") if path.is_file()]
