"""What attempts take is measured where they run, and written down however they end."""

from __future__ import annotations

import os
import sys
import time
import types

import pytest

from inference import handlers, measuring, meters
from inference.measuring import Measurement
from inference.models import JobMeter, SwapJob
from inference.pipeline.errors import NoFaceFoundError, StoppedError
from inference.tests import factories

pytestmark = pytest.mark.django_db
Outcome = JobMeter.Outcome


@pytest.fixture
def user():
    return factories.make_user(tokens=100)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_processor_time_is_not_the_time_of_the_clock():
    with Measurement() as measurement:
        burn(0.2)
        time.sleep(0.2)
    taken = measurement.taken
    assert 200 <= taken.cpu_ms < 350
    assert taken.wall_ms >= 390


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of one piece of work: Linux alone")
def test_the_peak_is_that_of_this_piece_of_work():
    size = 64 * 1024 * 1024
    peaks = []
    for wanted in (size, 1):
        with Measurement() as measurement:
            block = bytearray(wanted)
            for place in range(0, wanted, 4_096):
                block[place] = 1
            del block
        peaks.append(measurement.taken.memory_peak_bytes)
    assert peaks[0] - peaks[1] > size // 2


def test_without_a_gpu_nothing_is_said_of_one():
    with Measurement(gpu_index=99) as measurement:
        pass
    assert measurement.taken.gpu_ms is None
    assert measurement.taken.gpu_memory_peak_bytes is None


def test_the_gpu_is_sampled_by_the_library_of_its_maker(monkeypatch):
    """A stand-in for NVIDIA's library: half busy, and this process has a gigabyte of it."""
    stand_in = types.SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUtilizationRates=lambda _handle: types.SimpleNamespace(gpu=50),
        nvmlDeviceGetComputeRunningProcesses=lambda _handle: [
            types.SimpleNamespace(pid=os.getpid(), usedGpuMemory=2**30),
            types.SimpleNamespace(pid=1, usedGpuMemory=2**33),
        ],
    )
    monkeypatch.setattr(measuring, "pynvml", stand_in)
    with Measurement() as measurement:
        time.sleep(0.6)
    taken = measurement.taken
    assert taken.gpu_ms is not None
    assert 250 <= taken.gpu_ms <= taken.wall_ms * 0.6
    assert taken.gpu_memory_peak_bytes == 2**30


@pytest.mark.usefixtures("fast_swap")
def test_a_picture_leaves_one_meter(user):
    job = factories.make_job(owner_id=user.pk)
    handlers.run_swap_job(job_id=job.pk)
    job = SwapJob.objects.select_related("quote__source", "quote__target").get(pk=job.pk)
    assert job.status == SwapJob.Status.SUCCEEDED
    meter = JobMeter.objects.get(job=job)
    target = job.quote.target
    assert (meter.outcome, meter.attempt, meter.segment_index) == (Outcome.DONE, 1, None)
    assert (meter.frames_count, meter.pixels_count) == (1, target.width_px * target.height_px)
    assert meter.bytes_in == job.quote.source.size_bytes + target.size_bytes
    assert meter.bytes_out == job.result_size_bytes
    assert meter.cpu_ms > 0
    assert 0 < meter.wall_ms < 60_000
    assert meter.memory_peak_bytes > 10_000_000


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (StoppedError("swap"), Outcome.STOPPED),
        (NoFaceFoundError("source"), Outcome.REFUSED),
        (RuntimeError("boom"), Outcome.BROKE),
    ],
)
def test_the_exception_tells_how_an_attempt_ended(user, error, outcome):
    claim = factories.take(factories.make_job(owner_id=user.pk))
    with (
        pytest.raises(type(error)),
        meters.AttemptMeter(claim, refusals=(NoFaceFoundError,)),
    ):
        raise error
    assert JobMeter.objects.get(job_id=claim.job_id).outcome == outcome
    # A repeated message measures nothing twice.
    with meters.AttemptMeter(claim, refusals=()):
        pass
    assert JobMeter.objects.get(job_id=claim.job_id).outcome == outcome
