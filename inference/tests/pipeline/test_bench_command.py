"""``manage.py bench_engine`` measures everything, here on the shortest clips."""

from __future__ import annotations

import json
import os

import pytest
from django.core.management import CommandError, call_command

from benchmarks.engine import suite


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="scaling needs two cores")
def test_every_figure_is_measured(monkeypatch, capsys):
    plan = suite.Plan(frames_count=7, heavy_frames_count=0, repeats_count=1, lengths_s=(1, 2))
    monkeypatch.setattr(suite, "QUICK", plan)
    call_command("bench_engine", "--quick", "--no-heavy")
    told = capsys.readouterr().out.splitlines()
    report = json.loads(told[-1])
    assert report["bench"] == "engine"
    figures = report["figures"]
    wanted = {
        "ort_share_builtin_1face",
        "fps_tracked_720p_1face_per_thread",
        "cpu_end_to_end_by_parts",
        "scaling_2_processes",
        "scaling_2_processes_by_models",
        "peak_mib_grows_by_length",
        "fps_file_to_file_builtin_1080p_3faces",
    }
    assert wanted <= figures.keys()
    assert all(value > 0 for value in figures.values())
    assert 0 < figures["ort_share_builtin_1face"] < 1
    assert not any("heavy" in name for name in figures)
    assert any(line.startswith("| ort_share_builtin_1face") for line in told)


def test_one_part_is_measured_alone_and_an_unknown_one_is_refused(monkeypatch, capsys):
    plan = suite.Plan(frames_count=7, heavy_frames_count=0, repeats_count=1, lengths_s=(1, 2))
    monkeypatch.setattr(suite, "QUICK", plan)
    call_command("bench_engine", "--quick", "--only", "memory")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert figures.keys() == {"peak_mib_1s", "peak_mib_2s", "peak_mib_grows_by_length"}
    with pytest.raises(CommandError, match="'speed' is none of: stages"):
        call_command("bench_engine", "--only", "speed")
