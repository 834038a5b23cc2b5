"""Content negotiation of answers that are pictures."""

from __future__ import annotations

from collections.abc import Iterable

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AnyAcceptNegotiation(DefaultContentNegotiation):
    """For answers that are pictures: what the client accepts only shapes the errors, as JSON."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """The first renderer, whatever the Accept header says."""
        first = next(iter(renderers))
        return first, first.media_type
