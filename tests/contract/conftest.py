"""One world for all tests of this folder; what a request does to it is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection, transaction
from django.test import override_settings

from inference import runtime
from inference.tests import real_engine
from tests.contract import world as worlds
from tests.contract.world import World

# Beyond what a test asks in a minute: the counters count, and refuse nobody.
_PLENTY = "1000000/m"


@pytest.fixture(scope="package")
def world(
    django_db_setup: None, django_db_blocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Committed once, so that other connections see it too; removed after the last test."""
    folder = tmp_path_factory.mktemp("contract")
    rates = {name: _PLENTY for name in dir(django_settings) if name.endswith("_RATE")}
    changed = {
        "MEDIA_ROOT": folder / "media",
        "MODELS_DIR": real_engine.build_models(folder / "models"),
        "LEDGER_STATEMENTS_DIR": folder / "statements",
        "JOB_EVENTS_MAX_S": 0.01,
        **rates,
    }
    with django_db_blocker.unblock(), override_settings(**changed):
        try:
            yield worlds.build()
        finally:
            runtime.holder.close()
            cache.clear()
            call_command("flush", verbosity=0, interactive=False)


Undone = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def undone(world: World) -> Undone:
    """A block whose changes nobody sees afterwards, neither in the database nor in the folders."""
    kept = {path: path.read_bytes() for path in _files()}

    @contextmanager
    def block() -> Iterator[None]:
        outer = transaction.atomic()
        # As in Django's own test cases: inside, a step may think that it is the outermost, and the
        # end of a request does not close the connection.
        outer._from_testcase = True  # type: ignore[attr-defined]
        with pytest.MonkeyPatch.context() as patch, outer:
            patch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)
            try:
                yield
                # What the database checks only at a commit, which never comes.
                with connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            finally:
                transaction.set_rollback(True)
                _restore(kept)

    return block


def _files() -> list[Path]:
    return [path for path in Path(django_settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def _restore(kept: dict[Path, bytes]) -> None:
    for path, data in kept.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
