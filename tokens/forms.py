"""Forms of the recharge console."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from facefusion_site.common import idempotency
from tokens.models import CreditLot, RechargeBatch
from tokens.recharge_files import RowRules
from tokens.recharge_rows import BIGINT_MAX
from tokens.recharge_uploads import RowsFile
from tokens.services import staged_template
from tokens.types import (
    Category,
    LotTerms,
    RechargeMode,
    RechargeOrder,
    ReversalOrder,
    ReversalPolicy,
)

MODES = [("", "---"), *((mode.value, RechargeBatch.Mode[mode.name].label) for mode in RechargeMode)]
CATEGORIES = [(category.value, CreditLot.Category[category.name].label) for category in Category]
PRIORITY_MAX = 100


class StepForm(forms.Form):
    """A confirmation. The hidden key makes a second click the same request."""

    key = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"key": uuid.uuid4().hex})
        super().__init__(*args, **kwargs)


class RetryForm(StepForm):
    """How to retry."""

    mode = forms.ChoiceField(
        label=_("Mode"),
        choices=MODES,
        required=False,
        help_text=_("That of the batch, when left empty."),
        widget=UnfoldAdminSelectWidget,
    )


class ReasonForm(StepForm):
    """What every batch says about itself."""

    mode = forms.ChoiceField(label=_("Mode"), choices=MODES, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(label=_("Reason"), max_length=255, widget=UnfoldAdminTextInputWidget)
    operator = forms.CharField(
        label=_("Operator label"),
        max_length=128,
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    dry_run = forms.BooleanField(
        label=_("Only show what would happen"),
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"key": uuid.uuid4().hex, "dry_run": True})
        super().__init__(*args, **kwargs)


class ReversalForm(ReasonForm):
    """What to take back."""

    policy = forms.ChoiceField(
        label=_("Where tokens were used"),
        choices=[
            (policy.value, RechargeBatch.ReversalPolicy[policy.name].label)
            for policy in ReversalPolicy
        ],
        widget=UnfoldAdminSelectWidget,
    )
    rows = forms.RegexField(
        label=_("Rows"),
        regex=r"^[0-9]{1,7}(\s*,\s*[0-9]{1,7})*$",
        required=False,
        max_length=2_000,
        help_text=_("Row numbers with commas; all applied rows, when left empty."),
        widget=UnfoldAdminTextInputWidget,
    )

    def order(self) -> ReversalOrder:
        """The cleaned form as a value of the tokens app."""
        data = self.cleaned_data
        rows = sorted({int(row) for row in data["rows"].split(",")}) if data["rows"] else None
        return ReversalOrder(
            mode=RechargeMode(data["mode"]),
            policy=ReversalPolicy(data["policy"]),
            reason=data["reason"],
            operator=data["operator"],
            row_nos=None if rows is None else tuple(rows),
        )


class RechargeForm(ReasonForm):
    """A file of rows and what applies to all of them."""

    field_order = ["file", "amount", "mode", "reason", "operator"]
    file = forms.FileField(
        label=_("File"),
        help_text=_("CSV, Excel or NDJSON with a column “user”."),
        widget=UnfoldAdminFileFieldWidget,
    )
    amount = forms.IntegerField(
        label=_("Tokens per user"),
        min_value=1,
        max_value=BIGINT_MAX,
        required=False,
        help_text=_("For rows without an amount of their own."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    category = forms.ChoiceField(
        label=_("Category"),
        choices=[
            (category.value, CreditLot.Category[category.name].label) for category in Category
        ],
        widget=UnfoldAdminSelectWidget,
    )
    priority = forms.IntegerField(
        label=_("Priority"),
        min_value=0,
        max_value=PRIORITY_MAX,
        initial=50,
        help_text=_("0 burns first, 100 last."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    expires_at = forms.DateTimeField(
        label=_("Expires at"),
        required=False,
        help_text=_("UTC; never, when left empty."),
        widget=UnfoldAdminTextInputWidget,
    )

    def order(self, rows_file: RowsFile) -> RechargeOrder:
        """The cleaned form as a value of the tokens app."""
        data = self.cleaned_data
        terms = LotTerms(
            category=Category(data["category"]),
            priority=data["priority"],
            expires_at=data["expires_at"],
        )
        sent = [data[name] for name in ("mode", "reason", "operator", "amount")]
        return RechargeOrder(
            mode=RechargeMode(data["mode"]),
            reason=data["reason"],
            operator=data["operator"],
            terms=terms,
            source=rows_file.source,
            fingerprint=idempotency.fingerprint([rows_file.sha256, *sent, str(terms)]),
        )

    def rules(self, order: RechargeOrder) -> RowRules:
        """What rows without a cell of their own get."""
        return RowRules(
            template=staged_template(order=order, amount=0),
            amount=self.cleaned_data["amount"],
            cell_length_max=settings.RECHARGE_CELL_LENGTH_MAX,
            bytes_max=settings.RECHARGE_FILE_BYTES_MAX,
        )
