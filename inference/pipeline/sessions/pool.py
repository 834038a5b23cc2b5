"""The warm sessions of one process: each model is opened once and stays while there is room."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

from inference.pipeline.registry.files import VerifiedFiles, resolve
from inference.pipeline.registry.policy import LicencePolicy
from inference.pipeline.registry.spec import Registry
from inference.pipeline.sessions.loading import (
    LoadedModel,
    SessionOptions,
    open_session,
    warm_up,
)


class SessionPool:
    """Opens models on demand and keeps them. Thread-safe.

    A model is in use while anybody holds what ``get`` returned. Models that are not are closed,
    least recently used first, when the next one would not fit into the memory budget.
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
            memory_budget_bytes: for all open models together; 0 sets no limit.
        """
        self._registry = registry
        self._model_dir = model_dir
        self._policy = policy
        self._options = options
        self._memory_budget_bytes = memory_budget_bytes
        self._verified = VerifiedFiles()
        self._lock = threading.Lock()
        self._opened: dict[str, Future[LoadedModel]] = {}

    @property
    def registry(self) -> Registry:
        """The descriptions of all models."""
        return self._registry

    def get(self, key: str) -> LoadedModel:
        """A model, verified, opened and warmed up; threads that ask together open it once.

        Raises:
            ModelMissingError: a file is not there, or nobody described the model.
            ModelMismatchError: other bytes, tensors or execution providers than described.
            ModelNotAllowedError: refused by the licence policy.
        """
        with self._lock:
            future = self._opened.get(key)
            is_ours = future is None
            if future is None:
                future = self._opened[key] = Future()
        if is_ours:
            try:
                future.set_result(self._open(key))
            except BaseException as error:
                with self._lock:
                    self._opened.pop(key, None)
                future.set_exception(error)
                raise
        return future.result()

    def close(self) -> None:
        """Let go of all sessions; their memory is freed when no run uses them any more."""
        with self._lock:
            self._opened.clear()

    def _open(self, key: str) -> LoadedModel:
        path = resolve(
            registry=self._registry,
            key=key,
            model_dir=self._model_dir,
            policy=self._policy,
            verified=self._verified,
        )
        model = open_session(spec=self._registry.spec(key), path=path, options=self._options)
        warm_up(model)
        return model
