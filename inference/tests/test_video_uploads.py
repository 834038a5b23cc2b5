"""Videos that come in: what is kept, what is refused, and that a bad file breaks only a child."""

from __future__ import annotations

import hashlib
import io
import json
from fractions import Fraction
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from benchmarks.stand_ins.build import install_stand_ins
from inference import probing
from inference.models import MediaAsset
from inference.pipeline.errors import PipelineError
from inference.pipeline.registry.load import load_registry
from inference.tests import factories
from inference.tests.pipeline.video.media import Clip, Sound, make_clip

pytestmark = pytest.mark.django_db
URL = "/api/v1/assets"
QUOTES = "/api/v1/quotes"


def upload(client, data: bytes):
    file = SimpleUploadedFile("clip.txt", data, content_type="text/plain")
    return client.post(URL, {"file": file}, format="multipart")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds, 96 x 64, 25 frames a second, with sound."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return make_clip(path, Clip(sounds=[Sound()])).read_bytes()


def test_video_is_kept_and_described(client_of, media_root, clip):
    user = factories.make_user()
    client = client_of(user)

    answer = upload(client, clip)

    assert answer.status_code == 201, answer.data
    said = dict(answer.data)
    assert (said["kind"], said["content_type"]) == ("video", "video/mp4")
    assert (said["width"], said["height"], said["frames"]) == (96, 64, 50)
    assert (said["duration_ms"], said["fps"], said["has_audio"]) == (2000, 25.0, True)
    assert said["sha256"] == hashlib.sha256(clip).hexdigest()
    small = client.get(said["thumbnail_url"])
    with Image.open(io.BytesIO(b"".join(small.streaming_content))) as poster:
        assert (poster.format, poster.size) == ("JPEG", (96, 64))
    asset = MediaAsset.objects.get(pk=said["id"])
    assert (media_root / asset.file_key).stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("suffix", ["mov", "mkv", "webm"])
def test_first_bytes_tell_the_container(client_of, tmp_path, suffix):
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    times = range(0, 5 * 40, 40)
    made = Clip(codec=codec, times=times, tick_s=Fraction(1, 1000))
    path = make_clip(tmp_path / f"clip.{suffix}", made)

    answer = upload(client_of(factories.make_user()), path.read_bytes())

    assert answer.status_code == 201, answer.data
    types = {"mov": "video/quicktime", "mkv": "video/x-matroska", "webm": "video/webm"}
    assert answer.data["content_type"] == types[suffix]


@pytest.mark.parametrize(
    ("limit", "refusal"),
    [
        ({"VIDEO_BYTES_MAX": 1000}, (413, "upload_too_large")),
        ({"VIDEO_PIXELS_MAX": 1000}, (422, "video_too_large")),
        ({"VIDEO_DURATION_MAX_S": 1}, (422, "video_too_long")),
        ({"VIDEO_FRAMES_MAX": 10}, (422, "video_too_long")),
        ({"VIDEO_FPS_MAX": 10}, (422, "video_too_long")),
        # The child is ended by its limits: it must not take the server along.
        ({"VIDEO_PROBE_MEMORY_BYTES": 100 << 20}, (422, "unreadable_video")),
        ({"VIDEO_PROBE_TIMEOUT_S": 0.01}, (422, "unreadable_video")),
    ],
)
def test_limits_refuse_and_leave_nothing(client_of, settings, media_root, clip, limit, refusal):
    ((name, value),) = limit.items()
    setattr(settings, name, value)

    answer = upload(client_of(factories.make_user()), clip)

    assert (answer.status_code, answer.data["code"]) == refusal
    assert not [path for path in media_root.rglob("*") if path.is_file()]
    assert not MediaAsset.objects.exists()


@pytest.mark.parametrize(
    ("cut", "code"),
    [(slice(0, 40), "unreadable_video"), (slice(0, 3000), "unreadable_video")],
)
def test_damaged_video_is_refused(client_of, clip, cut, code):
    answer = upload(client_of(factories.make_user()), clip[cut])

    assert (answer.status_code, answer.data["code"]) == (422, code)


def test_file_of_pictures_only_is_no_video():
    assert probing.video_type_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") is None
    assert probing.video_type_of(b"") is None
    assert issubclass(probing._ERRORS["unreadable_video"], PipelineError)


class Priced:
    """Asks for the price of a swap of the clip."""

    def __init__(self, client, *, source: str, target: str) -> None:
        self._client = client
        self.source = source
        self.target = target

    def __call__(self, **changes):
        body = {
            "operation": "video_swap",
            "source_asset_id": self.source,
            "target_asset_id": self.target,
            **changes,
        }
        return self._client.post(QUOTES, body, format="json")


@pytest.fixture
def priced(client_of, clip) -> Priced:
    user = factories.make_user()
    client = client_of(user)
    target = upload(client, clip).data["id"]
    return Priced(client, source=str(factories.make_asset(owner_id=user.pk).pk), target=target)


@pytest.mark.parametrize(
    ("video", "ms", "tokens"),
    [
        ({}, 2000, 20),
        ({"end_s": 1}, 1000, 10),
        ({"start_s": 0.5, "end_s": 1.501}, 1001, 20),
        ({"start_s": 1.999}, 1, 10),
        ({"end_s": 100}, 2000, 20),
    ],
)
def test_started_seconds_of_the_wanted_part_are_priced(priced, video, ms, tokens):
    answer = priced(options={"video": video})

    assert answer.status_code == 201, answer.data
    assert answer.data["operation"] == "video_swap"
    assert answer.data["tokens"] == tokens
    assert answer.data["lines"] == [
        {
            "operation": "video_swap",
            "quantity": ms,
            "units": tokens // 10,
            "unit_price": 10,
            "multiplier": 1.0,
            "total": tokens,
        }
    ]
    assert answer.data["options"]["video"]["start_s"] == video.get("start_s", 0)


@pytest.mark.parametrize(
    ("options", "code", "param"),
    [
        ({"video": {"start_s": 2}}, "invalid_trim", "options.video"),
        ({"video": {"start_s": 1, "end_s": 1}}, "invalid_trim", "options.video"),
        ({"video": {"speed": 1}}, "invalid_request", None),
        ({"video": {"quality": 101}}, "invalid_request", None),
        ({"video": {"format": "avi"}}, "invalid_request", None),
        ({"spec": {"nothing": {}}}, "invalid_options", "options.spec.nothing"),
        ({"spec": {"allow_race": True}}, "invalid_options", "options.spec.allow_race"),
        ({"spec": {"swapper": {"weight": "x"}}}, "invalid_options", "options.spec.swapper.weight"),
        ({"spec": {"swapper": {"model": "x"}}}, "invalid_options", "options.spec.swapper.model"),
        (
            {"spec": {"selector": {"mode": "mapping"}}},
            "invalid_options",
            "options.spec.selector.mode",
        ),
        (
            {"spec": {"swapper": {"model": "inswapper_128"}}},
            "invalid_options",
            "options.spec.swapper.model",
        ),
    ],
)
def test_wrong_options_are_refused_with_their_place(priced, options, code, param):
    answer = priced(options=options)

    status = 400 if code == "invalid_request" else 422
    assert (answer.status_code, answer.data["code"]) == (status, code), answer.data
    assert answer.data.get("param") == param


def test_frames_enlarged_beyond_the_limit_are_refused(priced, settings, tmp_path):
    settings.MODELS_DIR = tmp_path / "models"
    install_stand_ins(
        registry=load_registry(), keys=["real_esrgan_x2"], model_dir=settings.MODELS_DIR
    )
    spec = {"frame_enhancer": {"model": "real_esrgan_x2"}}
    settings.VIDEO_PIXELS_MAX = 4 * 96 * 64 - 1

    answer = priced(options={"spec": spec})

    assert (answer.status_code, answer.data["code"]) == (422, "result_too_large")
    assert answer.data["param"] == "options.spec.frame_enhancer.model"
    settings.VIDEO_PIXELS_MAX += 1
    assert priced(options={"spec": spec}).status_code == 201


def test_engine_options_are_kept(priced):
    spec = {"detector": {"score_min": 0.6}, "selector": {"order": "left_right"}}

    answer = priced(options={"target_faces": "largest", "spec": spec})

    assert answer.status_code == 201, answer.data
    assert answer.data["options"]["spec"] == spec


def test_operation_and_kinds_must_fit(priced):
    assert priced(operation="image_swap").data["code"] == "operation_mismatch"
    assert priced(target_asset_id=priced.source).data["code"] == "operation_mismatch"
    assert priced(source_asset_id=priced.target).data["code"] == "source_not_a_picture"
    picture = priced(
        operation="image_swap", target_asset_id=priced.source, options={"video": {"end_s": 1}}
    )
    assert (picture.status_code, picture.data["param"]) == (400, "options.video")


def test_download_in_parts(client_of, clip):
    client = client_of(factories.make_user())
    url = upload(client, clip).data["content_url"]

    def get(**headers):
        answer = client.get(url, headers=headers)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return answer, body

    whole, body = get()
    assert (whole.status_code, body, whole["Accept-Ranges"]) == (200, clip, "bytes")
    size = len(clip)
    for wanted, expected, where in [
        ("bytes=0-9", clip[:10], f"bytes 0-9/{size}"),
        ("bytes=100-", clip[100:], f"bytes 100-{size - 1}/{size}"),
        ("bytes=-5", clip[-5:], f"bytes {size - 5}-{size - 1}/{size}"),
        (f"bytes=10-{size * 2}", clip[10:], f"bytes 10-{size - 1}/{size}"),
    ]:
        part, body = get(range=wanted)
        assert (part.status_code, body, part["Content-Range"]) == (206, expected, where)
        assert (part["Content-Length"], part["Content-Type"]) == (str(len(expected)), "video/mp4")
        assert part["Cache-Control"] == "private, no-store"
        assert part["Content-Disposition"].startswith("attachment")
    beyond, body = get(range=f"bytes={size}-")
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{size}")
    assert json.loads(body)["code"] == "range_not_satisfiable"
    for ignored in ("bytes=0-1,5-6", "lines=0-1", "bytes=-"):
        assert get(range=ignored)[0].status_code == 200
    assert get(range="bytes=0-9", if_range=whole["ETag"])[0].status_code == 206
    assert get(range="bytes=0-9", if_range='"other"')[0].status_code == 200


def test_large_upload_goes_through_the_disk(client_of, clip, settings, media_root: Path):
    """More than Django keeps in memory."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 100
    padded = clip + b"\0\0\x10\x08free" + bytes(4096)

    answer = upload(client_of(factories.make_user()), padded)

    assert answer.status_code == 201, answer.data
    assert answer.data["sha256"] == hashlib.sha256(padded).hexdigest()
