"""What commands have in common that let rules grant tokens: one run per rule, one report."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from facefusion_site.common.errors import DomainError
from tokens import recharge_selectors
from tokens.grants import GrantRun, GrantRunPreview
from tokens.management.money import MoneyCommand, Report, iso_day, positive
from tokens.management.money import table as table_of

SUMS = ("claimed", "accounts", "tokens", "failed", "remaining")


@dataclass(frozen=True, slots=True)
class RuleRun:
    """One rule and period that a command looks after."""

    name: str
    preview: Callable[[], GrantRunPreview]
    run: Callable[[], GrantRun]


class GrantCommand(MoneyCommand):
    """Runs every rule that is due. One that is refused does not keep the others from running."""

    dry_run_help = "grant nothing; say who would get what"
    date_help = "day to grant for, YYYY-MM-DD in GRANT_TIME_ZONE; today by default"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options that every such command has."""
        super().add_arguments(parser)
        parser.add_argument("--date", type=iso_day, help=self.date_help)
        parser.add_argument(
            "--limit", type=positive, metavar="ACCOUNTS", help="at most so many accounts per rule"
        )

    @abstractmethod
    def runs(self, options: Mapping[str, Any]) -> Sequence[RuleRun]:
        """What is due, in the order in which it is run.

        Raises:
            UsageError: an argument is wrong.
            DomainError: the work was refused as a whole.
        """

    def report(self, options: Mapping[str, Any]) -> Report:
        """Run or preview every rule, and add up."""
        is_dry = options["dry_run"]
        work = self._preview if is_dry else self._run
        found = [self._guarded(rule_run, work) for rule_run in self.runs(options)]
        outcomes: Counter[str] = Counter()
        for each in found:
            outcomes.update(each["outcomes"])
        summary = {
            "dry_run": is_dry,
            **{name: sum(each[name] for each in found) for name in SUMS},
            "outcomes": dict(outcomes.most_common()),
            "batches": [batch for each in found for batch in each["batches"]],
            "rules": found,
        }
        return Report(summary, _lines(summary), _problem(found))

    def _guarded(
        self, rule_run: RuleRun, work: Callable[[RuleRun], dict[str, Any]]
    ) -> dict[str, Any]:
        nothing = {"rule": rule_run.name, **dict.fromkeys(SUMS, 0), "outcomes": {}, "batches": []}
        try:
            return {**nothing, **work(rule_run), "error": None}
        except DomainError as error:
            answer = {
                "code": error.code,
                "detail": str(error.detail),
                "next_step": str(error.next_step),
            }
            return {**nothing, "error": answer}

    def _preview(self, rule_run: RuleRun) -> dict[str, Any]:
        planned = rule_run.preview()
        preview = planned.preview
        if preview is None:
            return {}
        return {
            "accounts": preview.applied_count,
            "tokens": preview.tokens_total,
            "failed": preview.failed_count,
            "remaining": planned.due_count - preview.lines_count,
            "outcomes": preview.outcomes,
        }

    def _run(self, rule_run: RuleRun) -> dict[str, Any]:
        """Grant, apply what is not applied yet, then count the batches of this run."""
        granted = rule_run.run()
        created = () if granted.receipt is None else (granted.receipt.batch_id,)
        batch_ids: dict[uuid.UUID, None] = dict.fromkeys((*created, *granted.unfinished))
        batches = [
            self.follow(batch_id, text=_("%(rule)s: accounts granted") % {"rule": rule_run.name})
            for batch_id in batch_ids
        ]
        outcomes: Counter[str] = Counter()
        for batch_id in batch_ids:
            outcomes.update(recharge_selectors.outcomes(batch_id=batch_id))
        return {
            "claimed": 0 if granted.receipt is None else granted.receipt.lines_count,
            "accounts": sum(batch.applied_count for batch in batches),
            "tokens": sum(batch.tokens_total for batch in batches),
            "failed": sum(batch.failed_count for batch in batches),
            "remaining": granted.remaining_count,
            "outcomes": dict(outcomes.most_common()),
            "batches": [
                {"batch": str(batch.batch_id), "status": batch.status} for batch in batches
            ],
        }


def _problem(found: Sequence[Mapping[str, Any]]) -> str:
    """Why the command ends with 1; a batch that waits for approval is none."""
    refused = [each["rule"] for each in found if each["error"]]
    if refused:
        return _("Refused: %(rules)s. The report says why.") % {"rules": ", ".join(refused)}
    failed = sum(each["failed"] for each in found)
    if failed and any(each["batches"] for each in found):
        return _("%(count)s accounts were not granted; the batch says why.") % {
            "count": f"{failed:,}"
        }
    statuses = {batch["status"] for each in found for batch in each["batches"]}
    if "paused" in statuses:
        return _("A batch was paused; resume it in the console.")
    return ""


def _lines(summary: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for each in summary["rules"]:
        lines.append(str(each["rule"]))
        if each["error"]:
            lines += table_of(each["error"], indent="  ")
            continue
        shown = {name: each[name] for name in SUMS}
        for batch in each["batches"]:
            shown[batch["batch"]] = batch["status"]
        lines += table_of({**shown, "outcomes": each["outcomes"] or "-"}, indent="  ")
    return lines or [_("No rule is due.")]
