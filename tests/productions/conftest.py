from __future__ import annotations

from inference.tests.conftest import client_of, fast_swap, media_root

__all__ = ["client_of", "fast_swap", "media_root"]
