"""Texts that are stored, and read by people of several languages."""

from __future__ import annotations

from django.utils.translation import gettext


def translated(text: str) -> str:
    """A stored text in the active language, if the product wrote it; else as a person did."""
    return gettext(text) if text else ""
