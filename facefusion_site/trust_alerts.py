"""What the overview of the console says about reports and media that are overdue."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import reverse
from django.utils.translation import ngettext

from inference import retention_selectors
from trust import selectors as trust_selectors


def overdue() -> Iterator[tuple[str, str]]:
    """Texts, each with the page to go to: reports past their 48 hours, media past their time."""
    late = trust_selectors.open_takedowns().overdue_count
    if late:
        text = ngettext(
            "%(count)d report of media is overdue: the law gives 48 hours.",
            "%(count)d reports of media are overdue: the law gives 48 hours.",
            late,
        )
        yield text % {"count": late}, reverse("admin:trust_takedown_changelist")
    kept = retention_selectors.overdue_media().total
    if kept:
        text = ngettext(
            "%(count)d file is kept past its time: is the scheduler running?",
            "%(count)d files are kept past their time: is the scheduler running?",
            kept,
        )
        yield text % {"count": kept}, reverse("admin:inference_mediaasset_changelist")
