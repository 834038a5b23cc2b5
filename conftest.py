"""What every test gets: balanced books at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings

# A busy machine draws and runs slowly; how fast things are is what benchmarks say, not tests.
settings.register_profile("product", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("product")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "corrupts_books: the test breaks the ledger on purpose; skip the final audit"
    )


@pytest.fixture(autouse=True)
def _books_balance(request: pytest.FixtureRequest) -> Iterator[None]:
    """Recompute the ledger after every test that may have touched the database."""
    has_database = request.node.get_closest_marker("django_db") is not None
    if not has_database or request.node.get_closest_marker("corrupts_books"):
        yield
        return
    # Set up before this fixture, so that it is torn down (rolled back, flushed) after the audit.
    request.getfixturevalue("_django_db_helper")
    yield
    if not connection.needs_rollback:
        from tokens import audit  # needs loaded apps, which this file is imported before

        assert audit.find_violations() == []
