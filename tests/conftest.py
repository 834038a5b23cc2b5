"""Fixtures of the tests of the whole site."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import sync_playwright

from tests.browsers import CHROMIUM


@pytest.fixture(scope="module")
def browser(django_db_setup):
    # Playwright's loop stays in this thread, and Django takes that for asynchronous code.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        is_root = os.geteuid() == 0
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"] if is_root else []
        )
        yield chromium
        chromium.close()
