"""Frames that are enlarged after their swaps: pictures, videos, limits."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from benchmarks.stand_ins.build import install_stand_ins
from inference.pipeline.builtin.build import build_builtin_models
from inference.pipeline.engine import Engine
from inference.pipeline.enhancers.frame import FrameEnhancer, FrameEnhancerOptions
from inference.pipeline.errors import (
    InvalidOptionsError,
    ModelMissingError,
    ResultTooLargeError,
    StoppedError,
)
from inference.pipeline.job import IdentityPictures, SwapRequest
from inference.pipeline.registry.load import load_registry
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.selection.options import SelectorOptions
from inference.pipeline.sessions.loading import SessionOptions
from inference.pipeline.sessions.pool import SessionPool
from inference.pipeline.spec import SwapSpec
from inference.pipeline.swap import swap_image
from inference.pipeline.swap_video import VideoPaths, swap_video
from inference.pipeline.video.join import join_segments
from inference.pipeline.video.probe import probe_video
from inference.pipeline.video.segments import plan_segments
from inference.pipeline.video.types import OutputOptions, TranscodeOptions
from inference.tests.pipeline.conftest import Recorder
from inference.tests.pipeline.video.media import LIMITS, Clip, make_clip

MODEL = "real_esrgan_x2"
ENLARGED = FrameEnhancerOptions(model=MODEL, blend_percent=100)


@pytest.fixture(scope="module")
def enlarging(tmp_path_factory) -> Engine:
    """The built-in models and a stand-in that repeats each pixel."""
    registry, folder = load_registry(), tmp_path_factory.mktemp("enlarging")
    build_builtin_models(registry=registry, model_dir=folder, on_done=lambda report: None)
    pool = SessionPool(
        registry=install_stand_ins(registry=registry, keys=[MODEL], model_dir=folder),
        model_dir=folder,
        policy=LicencePolicy(),
        options=SessionOptions(),
    )
    return Engine(pool)


def request(source, *, options=ENLARGED, pixels_max=None):
    spec = SwapSpec(selector=SelectorOptions(mode="largest"), frame_enhancer=options)
    return SwapRequest(
        spec=spec,
        identities=[IdentityPictures([source], takes_largest=True)],
        pixels_max=pixels_max,
    )


def test_a_picture_is_enlarged_after_its_swap(enlarging, astronaut, hopper):
    plain, large = (
        swap_image(
            engine=enlarging,
            request=request(astronaut, options=options),
            target_bgr=hopper,
            observer=Recorder(),
        )
        for options in (None, ENLARGED)
    )
    assert (plain.image_bgr != hopper).any()
    repeated = plain.image_bgr.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(large.image_bgr, repeated)
    assert large.faces == plain.faces, "reports are in pixels of the target"


def test_a_run_stops_between_rows_of_tiles(enlarging, astronaut, hopper):
    rows: list[float] = []

    class StopsInTheMiddle(Recorder):
        def should_stop(self) -> bool:
            return len(rows) == 2

        def progress(self, stage: str, fraction: float) -> None:
            super().progress(stage, fraction)
            if stage == "blend":
                rows.append(fraction)

    with pytest.raises(StoppedError):
        swap_image(
            engine=enlarging,
            request=request(astronaut),
            target_bgr=hopper,
            observer=StopsInTheMiddle(),
        )
    assert rows[0] == 0 < rows[1] < 0.9


def clip(path, hopper, *, seconds=2):
    """A face that moves, with a key frame each second; the last frames show none."""
    small = cv2.resize(hopper, (200, 240), interpolation=cv2.INTER_AREA)

    def paint(number, size):
        picture = np.full((size[1], size[0], 3), 80, np.uint8)
        if number < seconds * 10 - 3:
            picture[:, 10 + number : 210 + number] = small
        return picture

    return make_clip(
        path,
        Clip(
            size=(260, 240),
            times=range(0, seconds * 10 * 512, 512),
            tick_s=Fraction(1, 5120),
            fps=Fraction(10),
            encoder={"g": "10", "keyint_min": "10", "crf": "12"},
            paint=paint,
        ),
    )


def pixels_of(path):
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="bgr24") for frame in file.decode(video=0)]


def test_every_frame_of_a_video_is_enlarged(enlarging, astronaut, hopper, tmp_path):
    source = clip(tmp_path / "in.mp4", hopper)
    sizes = {}
    for name, wanted in (("plain", None), ("large", ENLARGED)):
        result = tmp_path / f"{name}.mp4"
        report = swap_video(
            engine=enlarging,
            request=request(astronaut, options=wanted),
            paths=VideoPaths(target=source, result=result),
            options=TranscodeOptions(limits=LIMITS, output=OutputOptions(quality=95)),
            observer=Recorder(),
        )
        sizes[name] = (report.video.width, report.video.height, report.video.frames_out)
        assert report.frames_swapped == 17
    assert sizes == {"plain": (260, 240, 20), "large": (520, 480, 20)}
    for plain, large in zip(
        pixels_of(tmp_path / "plain.mp4"), pixels_of(tmp_path / "large.mp4"), strict=True
    ):
        back = cv2.resize(large, (260, 240), interpolation=cv2.INTER_AREA)
        assert np.abs(back.astype(int) - plain).mean() < 2


def test_segments_are_enlarged_alike(enlarging, astronaut, hopper, tmp_path):
    source = clip(tmp_path / "in.mp4", hopper, seconds=5)
    options = TranscodeOptions(limits=LIMITS, output=OutputOptions(container="mp4"))
    plan = plan_segments(source, target_s=2, limits=LIMITS)
    assert len(plan) == 2
    parts = [tmp_path / f"part{segment.index}" for segment in plan]
    for segment, part in zip(plan, parts, strict=True):
        swap_video(
            engine=enlarging,
            request=request(astronaut),
            paths=VideoPaths(target=source, result=part),
            options=options,
            observer=Recorder(),
            segment=segment,
        )
    result = tmp_path / "joined.mp4"
    join_segments(
        parts, segments=plan, source=source, target=result, options=options, observer=Recorder()
    )
    info = probe_video(result, limits=LIMITS)
    assert (info.width, info.height, info.frames_count) == (520, 480, 50)


def test_a_result_beyond_the_limits_is_refused_before_the_work(
    enlarging, astronaut, hopper, tmp_path
):
    recorder = Recorder()
    with pytest.raises(ResultTooLargeError, match="1024 x 1200 px") as caught:
        swap_image(
            engine=enlarging,
            request=request(astronaut, pixels_max=1_000_000),
            target_bgr=hopper,
            observer=recorder,
        )
    assert (caught.value.code, caught.value.param) == ("result_too_large", "frame_enhancer.model")
    assert recorder.heard == [("detect", 0.0)]
    source = make_clip(tmp_path / "in.mp4", Clip(size=(1280, 720), times=(0, 512)))
    with pytest.raises(ResultTooLargeError, match="2560 x 1440 px"):
        swap_video(
            engine=enlarging,
            request=request(astronaut),
            paths=VideoPaths(target=source, result=tmp_path / "out.mp4"),
            options=TranscodeOptions(limits=LIMITS),
            observer=recorder,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_model_that_is_missing_or_no_upscaler_is_named(enlarging, astronaut, hopper):
    for options, error, param in (
        (FrameEnhancerOptions(model="gfpgan_1.4"), InvalidOptionsError, "frame_enhancer.model"),
        (FrameEnhancerOptions(model="real_esrgan_x4"), ModelMissingError, "real_esrgan_x4"),
    ):
        with pytest.raises(error, match=param):
            swap_image(
                engine=enlarging,
                request=request(astronaut, options=options, pixels_max=10**9),
                target_bgr=hopper,
                observer=Recorder(),
            )


def test_shares_of_the_work_rise_from_zero(stand_ins):
    shares: list[float] = []
    image = np.zeros((600, 300, 3), np.uint8)
    FrameEnhancer(stand_ins, ENLARGED).enhance(image, on_share=shares.append)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert len(shares) == 3
