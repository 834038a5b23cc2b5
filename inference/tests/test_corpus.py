"""Hundreds of files that nobody should send: each ends in a documented error or a right result."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inference.pipeline.builtin.build import build_builtin_models
from inference.pipeline.registry.load import load_registry
from inference.tests.corpus.entries import PICTURE_OUTCOMES, VIDEO_OUTCOMES, Entry
from inference.tests.corpus.pictures import all_pictures, encoded, face
from inference.tests.corpus.videos import all_videos

# A loaded machine may need much longer than the minute that two free cores need.
pytestmark = pytest.mark.timeout(600)

_ROOT = Path(__file__).resolve().parents[2]
_SHARES = 2
_CPU_S_MAX = 20
_CHILD_TIMEOUT_S = 540
_PEAK_KIB_MAX = 1_200_000


@dataclass(frozen=True)
class Corpus:
    """The files, and what a child said about each."""

    entries: dict[str, Entry]
    facts: dict[str, dict[str, Any]]

    def counts(self, kind: str) -> collections.Counter[str]:
        return collections.Counter(
            self.facts[name]["outcome"]
            for name, entry in self.entries.items()
            if entry.kind == kind
        )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Everything is run once, for all tests of this file."""
    folder = tmp_path_factory.mktemp("corpus")
    model_dir = folder / "models"
    build_builtin_models(registry=load_registry(), model_dir=model_dir, on_done=lambda _: None)
    made = [*all_pictures(), *all_videos(folder)]
    entries = {entry.name: entry for entry in made}
    assert len(entries) == len(made), "names are unique"
    for number in range(_SHARES):
        (folder / str(number) / "results").mkdir(parents=True)
    for place, entry in enumerate(made):
        (folder / str(place % _SHARES) / entry.name).write_bytes(entry.data)
    names = [(entry.kind, entry.name) for entry in made]
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    (folder / "source.png").write_bytes(encoded(face().transpose(0), "PNG"))
    facts: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(_SHARES) as threads:
        runs = threads.map(lambda number: _run(model_dir, folder, number), range(_SHARES))
        for told in runs:
            facts.update(told)
    return Corpus(entries=entries, facts=facts)


def _run(model_dir: Path, folder: Path, number: int) -> dict[str, dict[str, Any]]:
    child = subprocess.run(
        [
            sys.executable,
            "-m",
            "inference.tests.corpus.child",
            str(model_dir),
            str(folder),
            f"{number}/{_SHARES}",
        ],
        cwd=_ROOT,
        # One thread, because each reserves address space.
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=_CHILD_TIMEOUT_S,
        check=False,
    )
    told = [json.loads(line) for line in child.stdout.splitlines()]
    assert child.returncode == 0, (told[-1:], child.stderr[-3000:])
    return {facts["file"]: facts for facts in told}


def test_it_has_hundreds_of_files_and_each_has_an_outcome(corpus: Corpus):
    assert len(corpus.entries) >= 500
    assert corpus.facts.keys() == corpus.entries.keys()
    assert all("outcome" in facts for facts in corpus.facts.values())
    assert set(corpus.counts("picture")) == PICTURE_OUTCOMES, "each outcome is met"
    assert set(corpus.counts("video")) == VIDEO_OUTCOMES, "each outcome is met"


def test_each_file_ends_as_it_should(corpus: Corpus):
    wrong = {
        name: (corpus.facts[name]["outcome"], sorted(entry.allowed))
        for name, entry in corpus.entries.items()
        if corpus.facts[name]["outcome"] not in entry.allowed
    }
    assert wrong == {}


def test_results_have_the_right_size_and_length(corpus: Corpus):
    done = {name: facts for name, facts in corpus.facts.items() if facts["outcome"] == "ok"}
    wrong = []
    for name, facts in done.items():
        entry = corpus.entries[name]
        is_right = (
            entry.size_px in (None, tuple(facts.get("size_px", ())))
            and entry.frames_count in (None, facts.get("frames"))
            and facts.get("frames_swapped", 0) <= (entry.frames_swapped_max or 10**9)
        )
        if not is_right:
            wrong.append((name, facts))
    assert wrong == []
    assert len(done) >= 100, "many files can be used"


def test_no_file_takes_long_or_much_memory(corpus: Corpus):
    slow = {name: facts for name, facts in corpus.facts.items() if facts["cpu_s"] > _CPU_S_MAX}
    assert slow == {}
    assert max(facts["peak_kib"] for facts in corpus.facts.values()) < _PEAK_KIB_MAX
