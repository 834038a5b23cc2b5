from __future__ import annotations

import pytest
from django.core.cache import cache

from inference.tests import factories


@pytest.fixture
def user(settings, tmp_path):
    """An account with tokens, where consent is asked for as in production."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.CONSENT_REQUIRED = "attest"
    yield factories.make_user(tokens=100)
    cache.clear()
