"""What the tests in a real browser share. They need Debian's Chromium.

Set BROWSER_SHOTS to a folder to keep the screenshots.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
PASSWORD = "calm-otter-4711"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 812}

needs_chromium = pytest.mark.skipif(
    not CHROMIUM.exists(),
    reason="no browser: install it with “apt-get install -y chromium fonts-noto-cjk”",
)


def shoot(page, name):
    """Keep a picture of the page, and fail when it scrolls sideways."""
    folder = os.environ.get("BROWSER_SHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
    width, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner, f"{name} scrolls sideways"
