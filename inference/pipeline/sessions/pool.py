"""The warm sessions of one process: each model is opened once and stays while there is room."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from inference.pipeline.errors import PipelineError
from inference.pipeline.registry.emap import read_emap
from inference.pipeline.registry.files import VerifiedFiles, resolve
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.registry.spec import Registry
from inference.pipeline.sessions.loading import (
    LoadedModel,
    SessionOptions,
    noise_feed,
    open_session,
    warm_up,
)


@dataclass(frozen=True, slots=True)
class OpenModel:
    """What a pool reports about one open model.

    Attributes:
        key: of the file that is open, which may be the half-precision one.
        size_bytes: of the file; what the memory budget counts.
        providers: where it really runs, best first.
        node_counts: nodes of the graph by provider; empty where only the CPU was asked for.
        is_in_use: somebody holds it.
    """

    key: str
    size_bytes: int
    providers: tuple[str, ...]
    node_counts: Mapping[str, int]
    is_in_use: bool


@dataclass(slots=True, eq=False)
class _Entry:
    """One model of the pool: on its way while ``opened`` is not done."""

    size_bytes: int
    opened: Future[LoadedModel] = field(default_factory=Future)
    # What callers hold. The pool's own reference to the session must not count as a use.
    lent: weakref.ref[LoadedModel] | None = None
    last_use: int = 0

    @property
    def is_in_use(self) -> bool:
        return not self.opened.done() or (self.lent is not None and self.lent() is not None)


class SessionPool:
    """Opens models on demand and keeps them. Thread-safe.

    A model is in use while anybody holds what ``get`` returned. Models that are not are closed,
    least recently used first, while all together exceed the memory budget. A model in
    use is never closed, so the budget is exceeded rather than a running job broken.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        model_dir: Path,
        policy: LicencePolicy,
        options: SessionOptions,
        memory_budget_bytes: int = 0,
    ) -> None:
        """Open nothing yet.

        Args:
            registry: the descriptions.
            model_dir: folder with the model files.
            policy: which licences are allowed.
            options: how sessions are opened.
            memory_budget_bytes: for all open models together, counted by the size of their files;
                0 sets no limit.
        """
        self._registry = registry
        self._model_dir = model_dir
        self._policy = policy
        self._options = options
        self._memory_budget_bytes = memory_budget_bytes
        self._verified = VerifiedFiles()
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._clock = itertools.count(1)
        self._is_closed = False

    @property
    def registry(self) -> Registry:
        """The descriptions of all models."""
        return self._registry

    def get(self, key: str) -> LoadedModel:
        """A model, verified, opened and warmed up; threads that ask together open it once.

        With ``prefer_fp16`` on a GPU it may be the half-precision file, see its ``spec.key``.

        Raises:
            ModelMissingError: a file is not there, or nobody described the model.
            ModelMismatchError: other bytes, tensors or execution providers than described.
            ModelNotAllowedError: refused by the licence policy.
            RuntimeError: the pool is closed.
        """
        chosen = self._choose(key)
        while True:
            entry, is_ours, evicted = self._enter(chosen)
            # Sessions take a while to close; nobody should wait for the lock meanwhile.
            del evicted
            if is_ours:
                self._open(chosen, entry)
            opened = entry.opened.result()
            with self._lock:
                if self._entries.get(chosen) is entry:
                    return self._lend(entry, opened)

    def report(self) -> tuple[OpenModel, ...]:
        """All open models, least recently used first."""
        with self._lock:
            entries = sorted(self._entries.items(), key=lambda item: item[1].last_use)
            return tuple(
                OpenModel(
                    key=key,
                    size_bytes=entry.size_bytes,
                    providers=entry.opened.result().providers,
                    node_counts=entry.opened.result().node_counts,
                    is_in_use=entry.is_in_use,
                )
                for key, entry in entries
                if entry.opened.done()
            )

    def trim(self) -> None:
        """Give the working memory of all open models back, for the time between jobs.

        A large picture leaves a large arena behind; it shrinks at the end of a small run.
        """
        with self._lock:
            opened = [entry.opened for entry in self._entries.values() if entry.opened.done()]
        for future in opened:
            model = future.result()
            model.run(noise_feed(model), shrink=True)

    def close(self) -> None:
        """Let go of all sessions; their memory is freed when no run uses them any more."""
        with self._lock:
            self._is_closed = True
            entries, self._entries = self._entries, {}
        entries.clear()

    def _choose(self, key: str) -> str:
        """The model itself, or its half-precision file where that is wanted and can be used."""
        fp16_key = self._registry.spec(key).fp16_key
        if not fp16_key or not (self._options.prefer_fp16 and self._options.uses_gpu):
            return key
        try:
            self._resolve(fp16_key)
        except PipelineError:
            return key
        return fp16_key

    def _enter(self, key: str) -> tuple[_Entry, bool, list[_Entry]]:
        """The entry of a model, whether the caller has to open it, and what had to go for it."""
        file = self._model_dir / self._registry.spec(key).file
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the session pool is closed")
            entry = self._entries.get(key)
            is_ours = entry is None
            if entry is None:
                entry = _Entry(size_bytes=file.stat().st_size if file.is_file() else 0)
                self._entries[key] = entry
            entry.last_use = next(self._clock)
            return entry, is_ours, self._make_room(keep=key)

    def _make_room(self, *, keep: str) -> list[_Entry]:
        """Take idle models out until the rest fits; the caller holds the lock."""
        evicted: list[_Entry] = []
        if not self._memory_budget_bytes:
            return evicted
        total = sum(entry.size_bytes for entry in self._entries.values())
        idle = [
            (entry.last_use, key)
            for key, entry in self._entries.items()
            if key != keep and not entry.is_in_use
        ]
        for _, key in sorted(idle):
            if total <= self._memory_budget_bytes:
                break
            evicted.append(self._entries.pop(key))
            total -= evicted[-1].size_bytes
        return evicted

    def _open(self, key: str, entry: _Entry) -> None:
        try:
            spec = self._registry.spec(key)
            path = self._resolve(key)
            emap = read_emap(spec, model_dir=self._model_dir) if spec.has_emap else None
            model = open_session(spec=spec, path=path, options=self._options, emap=emap)
            warm_up(model)
        except BaseException as error:
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
            entry.opened.set_exception(error)
            raise
        entry.opened.set_result(model)

    def _lend(self, entry: _Entry, opened: LoadedModel) -> LoadedModel:
        """What callers get: one object that they share; the caller of this holds the lock."""
        lent = entry.lent() if entry.lent is not None else None
        if lent is None:
            lent = dataclasses.replace(opened)
            entry.lent = weakref.ref(lent)
        return lent

    def _resolve(self, key: str) -> Path:
        return resolve(
            registry=self._registry,
            key=key,
            model_dir=self._model_dir,
            policy=self._policy,
            verified=self._verified,
        )
