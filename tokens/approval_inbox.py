"""The inbox of approvals: cards in bands, each with what an approver should notice first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tokens import approval_selectors
from tokens.approval_selectors import Inbox
from tokens.approvals import ApprovalView
from tokens.models import RechargeDraft

CARDS_MAX = 100
# A row counts as large when it is this many times the average row.
LARGE_ROW_FACTOR = 10


FLAG_TEXTS = {
    "blocked": _("Nobody is left to decide"),
    "reversal": _("Takes tokens back"),
    "question_open": _("A question is open"),
    "large_row": _("One row is far above the others"),
    "unusual_rows": _("Rows above what accounts are used to"),
    "failing_rows": _("Rows that would fail"),
}


@dataclass(frozen=True, slots=True)
class Card:
    """A request, and codes of what is unusual about it.

    ``warned_count`` and ``failed_count`` are rows of the draft that it came of, 0 without one.
    """

    view: ApprovalView
    flags: tuple[str, ...]
    is_late: bool
    warned_count: int
    failed_count: int

    @property
    def notices(self) -> list[str]:
        """The flags in words."""
        return [str(FLAG_TEXTS[flag]) for flag in self.flags]


@dataclass(frozen=True, slots=True)
class Band:
    """Requests that the same policies ask about, with as many approvals; oldest first."""

    policies: tuple[str, ...]
    approvals_required: int
    cards: tuple[Card, ...]


def band_key(view: ApprovalView) -> tuple[tuple[str, ...], int]:
    """What two requests must have in common to be approved together."""
    return view.policies, view.approvals_required


def inbox(*, viewer_id: int) -> tuple[tuple[Band, ...], tuple[Card, ...]]:
    """What the viewer may decide, in bands; and what waits for others, the oldest first.

    A constant number of queries; at most the hundred oldest of both together.
    """
    views, _more = approval_selectors.approval_requests(
        viewer_id=viewer_id, inbox=Inbox.WAITING, limit=CARDS_MAX
    )
    cards = _cards(views)
    mine = sorted((it for it in cards if it.view.is_my_turn), key=lambda it: band_key(it.view))
    bands = tuple(
        Band(policies=key[0], approvals_required=key[1], cards=tuple(group))
        for key, group in groupby(mine, key=lambda it: band_key(it.view))
    )
    return bands, tuple(it for it in cards if not it.view.is_my_turn)


def _cards(views: Sequence[ApprovalView]) -> list[Card]:
    drafts = {
        batch_id: (warned, failed)
        for batch_id, warned, failed in RechargeDraft.objects.filter(
            batch_id__in=[view.batch_id for view in views]
        ).values_list("batch_id", "warned_count", "failed_count")
    }
    return [_card(view, *drafts.get(view.batch_id, (0, 0))) for view in views]


def _card(view: ApprovalView, warned_count: int, failed_count: int) -> Card:
    is_late = view.age_s > settings.APPROVAL_SLA_S
    noticed = {
        "blocked": view.status == approval_selectors.BLOCKED,
        "reversal": view.subject == "reversal",
        "question_open": any(vote.waits_for_answer for vote in view.votes),
        "large_row": view.rows_count > 1
        and view.largest_row * view.rows_count >= view.tokens_total * LARGE_ROW_FACTOR,
        "unusual_rows": warned_count > 0,
        "failing_rows": failed_count > 0,
    }
    return Card(
        view=view,
        flags=tuple(code for code, is_so in noticed.items() if is_so),
        is_late=is_late,
        warned_count=warned_count,
        failed_count=failed_count,
    )
