"""Grant the daily tokens of the VIP plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tokens import recharge_selectors, services
from tokens.management.money import MoneyCommand, Report, iso_day, positive
from tokens.management.money import table as table_of
from tokens.types import GrantPreview, GrantReceipt


class Command(MoneyCommand):
    """Safe to run twice, on two hosts, late, or across midnight: once per account and day.

    The schedule does the same every half hour. A batch of the day that an earlier run left
    unfinished is finished too.
    """

    help = "Grant every VIP account its tokens of the day, unless it has had them."
    dry_run_help = "grant nothing; say who would get what"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        super().add_arguments(parser)
        parser.add_argument(
            "--date",
            type=iso_day,
            help="day to grant for, YYYY-MM-DD in GRANT_TIME_ZONE; today by default",
        )
        parser.add_argument(
            "--amount", type=positive, help="tokens per account; VIP_GRANT_TOKENS by default"
        )
        parser.add_argument(
            "--limit", type=positive, metavar="ACCOUNTS", help="at most so many accounts"
        )

    def report(self, options: Mapping[str, Any]) -> Report:
        asked = {
            "day": options["date"],
            "amount": options["amount"],
            "limit": options["limit"],
        }
        if options["dry_run"]:
            return _preview_report(services.preview_vip_grant(**asked))
        granted = services.grant_vip(**asked)
        return self._grant_report(granted)

    def _grant_report(self, granted: GrantReceipt) -> Report:
        """Apply what is not applied yet, then add up the batches of this run."""
        created = () if granted.receipt is None else (granted.receipt.batch_id,)
        batch_ids = dict.fromkeys((*created, *granted.unfinished))
        batches = [self.follow(batch_id, text=_("accounts granted")) for batch_id in batch_ids]
        outcomes: Counter[str] = Counter()
        for batch_id in batch_ids:
            outcomes.update(recharge_selectors.outcomes(batch_id=batch_id))
        summary = {
            **_head(granted, dry_run=False),
            "claimed": 0 if granted.receipt is None else granted.receipt.lines_count,
            "accounts": sum(batch.applied_count for batch in batches),
            "tokens": sum(batch.tokens_total for batch in batches),
            "failed": sum(batch.failed_count for batch in batches),
            "outcomes": dict(outcomes.most_common()),
            "remaining": granted.remaining_count,
            "batches": [str(batch.batch_id) for batch in batches],
        }
        is_done = all(batch.is_finished for batch in batches)
        problem = ""
        if not is_done:
            problem = _("A batch was paused; resume it in the console.")
        elif summary["failed"]:
            problem = _("%(count)s accounts were not granted; the batch says why.") % {
                "count": f"{summary['failed']:,}"
            }
        return Report(summary, _lines(summary), problem)


def _preview_report(planned: GrantPreview) -> Report:
    preview = planned.preview
    summary = {
        **_head(planned, dry_run=True),
        "claimed": 0,
        "accounts": 0 if preview is None else preview.applied_count,
        "tokens": 0 if preview is None else preview.tokens_total,
        "failed": 0 if preview is None else preview.failed_count,
        "outcomes": {} if preview is None else preview.outcomes,
        "remaining": planned.due_count - (0 if preview is None else preview.lines_count),
        "batches": [],
    }
    return Report(summary, _lines(summary))


def _head(grant: GrantReceipt | GrantPreview, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "day": grant.day.isoformat(),
        "amount": grant.amount,
        "expires_at": None if grant.expires_at is None else grant.expires_at.isoformat(),
    }


def _lines(summary: Mapping[str, Any]) -> list[str]:
    numbers = {name: f"{summary[name]:,}" for name in ("accounts", "tokens", "remaining")}
    if not summary["outcomes"]:
        lines = [_("Every VIP account has had its tokens of %(day)s.") % {"day": summary["day"]}]
    else:
        text = (
            _("%(accounts)s accounts would get %(tokens)s tokens for %(day)s.")
            if summary["dry_run"]
            else _("%(accounts)s accounts got %(tokens)s tokens for %(day)s.")
        )
        lines = [text % {**numbers, "day": summary["day"]}]
        lines += table_of(summary["outcomes"], indent="  ")
    if summary["batches"]:
        lines += table_of({"batch": summary["batches"]}, indent="  ")
    if summary["remaining"]:
        lines.append(
            _("%(remaining)s accounts are over the limit; run it again for them.") % numbers
        )
    return lines
