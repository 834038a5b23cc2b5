"""Hundreds of files that nobody should send: each ends in a documented error or a right result."""

from __future__ import annotations

import collections
import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL.Image import Transpose

from facefusion_site.common.errors import DomainError
from inference import handlers, runtime, services
from inference.models import MediaAsset, SwapJob
from inference.pipeline.builtin.build import build_builtin_models
from inference.pipeline.registry.load import load_registry
from inference.tests import factories
from inference.tests.corpus.entries import OK, PICTURE_OUTCOMES, VIDEO_OUTCOMES, Entry
from inference.tests.corpus.pictures import all_pictures, encoded, face
from inference.tests.corpus.videos import all_videos
from inference.types import SwapOptions, TargetFaces
from tokens import selectors as tokens_selectors
from tokens.types import Operation

# A loaded machine may need much longer than the minute that two free cores need.
pytestmark = pytest.mark.timeout(600)

_ROOT = Path(__file__).resolve().parents[2]
_SHARES = 2
# What also goes through upload, quote, hold and job: some of each outcome.
_JOURNEY = (
    *("plain.mp4", "late_face.mp4", "no_face.mp4", "pixels_of_noise.mp4", "pixels_of_zeros.mp4"),
    *("without_index.mp4", "first_50_percent.indexed.mp4", "sound.mp4", "encrypted.mp4"),
    *("twelve_hours.mkv", "fuzz_000.mkv", "fuzz_002.mp4", "fuzz_002.webm", "zero_bytes.mp4"),
    *("mode_CMYK.jpg", "grey_16_bit.png", "orientation_6.jpg", "alpha.webp", "with_archive.png"),
    *("1x1.png", "mode_1.png", "all_transparent.png", "zero_bytes.jpg", "animated.png"),
    *(
        "first_50_percent.jpeg",
        "header_50000x50000.png",
        "20000x1100.png",
        "gif_head.jpg",
        "svg.png",
    ),
    *("wrong_checksum.png", "many_scans.jpg", "fuzz_003.jpg", "fuzz_004.png", "fuzz_005.webp"),
)
_CPU_S_MAX = 20
_TOKENS = 500
_CHILD_TIMEOUT_S = 540
_PEAK_KIB_MAX = 1_200_000


@dataclass(frozen=True)
class Corpus:
    """The files, and what a child said about each."""

    entries: dict[str, Entry]
    facts: dict[str, dict[str, Any]]
    model_dir: Path

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
    (folder / "source.png").write_bytes(encoded(face().transpose(Transpose.FLIP_LEFT_RIGHT), "PNG"))
    facts: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(_SHARES) as threads:
        runs = threads.map(lambda number: _run(model_dir, folder, number), range(_SHARES))
        for told in runs:
            facts.update(told)
    return Corpus(entries=entries, facts=facts, model_dir=model_dir)


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


@pytest.fixture
def customer(settings, corpus: Corpus) -> Iterator[int]:
    """A user with tokens; this process plays the worker."""
    settings.MODELS_DIR = corpus.model_dir
    yield factories.make_user(tokens=_TOKENS).pk
    runtime.holder.close()


@pytest.mark.django_db
def test_jobs_end_as_the_engine_does_and_give_tokens_back(corpus: Corpus, customer: int):
    source = services.register_media(owner_id=customer, file=_png(), name="source.png")
    ends: collections.Counter[str] = collections.Counter()
    for name in _JOURNEY:
        entry, outcome = corpus.entries[name], corpus.facts[name]["outcome"]
        before = tokens_selectors.balance(user_id=customer)
        assert before.held == 0, name
        end = _journey(entry, outcome, owner_id=customer, source_id=source.pk)
        ends[end] += 1
        after = tokens_selectors.balance(user_id=customer)
        assert after.held == 0, name
        assert (before.available - after.available > 0) == (end == "succeeded"), name
    # Uploads keep out what need not be paid first; jobs find what only a full look can.
    assert min(ends["refused"], ends["failed"], ends["succeeded"]) >= 3, ends
    assert ends.total() == len(_JOURNEY)


def _journey(entry: Entry, outcome: str, *, owner_id: int, source_id: uuid.UUID) -> str:
    """Upload, quote, submit, work; ``refused`` at the upload, else the job's status."""
    assets_before = MediaAsset.objects.count()
    target, refusal = _upload(entry, owner_id=owner_id)
    if target is None:
        assert refusal is not None
        # By the first bytes alone, a file that is nothing we know is called a picture.
        codes = {outcome, outcome.replace("_video", "_image")}
        assert refusal.code in codes, (entry.name, refusal.code, outcome)
        assert refusal.next_step
        assert MediaAsset.objects.count() == assets_before
        return "refused"
    is_video = target.kind == MediaAsset.Kind.VIDEO
    quote = services.quote_swap(
        owner_id=owner_id,
        source_asset_id=source_id,
        target_asset_id=target.pk,
        options=SwapOptions(target_faces=TargetFaces.LARGEST),
        operation=Operation.VIDEO_SWAP if is_video else Operation.IMAGE_SWAP,
    )
    submitted = services.submit_swap_job(
        owner_id=owner_id, quote_id=quote.pk, idempotency_key=uuid.uuid4().hex
    )
    handlers.run_swap_job(job_id=submitted.job_id)
    job = SwapJob.objects.get(pk=submitted.job_id)
    books = factories.books(job)
    if outcome == OK:
        assert (job.status, books.kinds) == (SwapJob.Status.SUCCEEDED, ("hold", "settle")), (
            entry.name,
            job.error_code,
        )
        return "succeeded"
    assert (job.status, job.error_code) == (SwapJob.Status.FAILED, outcome), entry.name
    assert books.kinds == ("hold", "release")
    return "failed"


def _upload(entry: Entry, *, owner_id: int) -> tuple[MediaAsset | None, DomainError | None]:
    file = io.BytesIO(entry.data)
    try:
        return services.register_media(owner_id=owner_id, file=file, name=entry.name), None
    except DomainError as error:
        return None, error


def _png() -> io.BytesIO:
    return io.BytesIO(encoded(face(), "PNG"))


def test_no_file_takes_long_or_much_memory(corpus: Corpus):
    slow = {name: facts for name, facts in corpus.facts.items() if facts["cpu_s"] > _CPU_S_MAX}
    assert slow == {}
    assert max(facts["peak_kib"] for facts in corpus.facts.values()) < _PEAK_KIB_MAX
