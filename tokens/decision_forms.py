"""Forms on which a person decides, asks or answers."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from tokens.approval_inbox import Band, Card
from tokens.approvals import Ballot, VoteDecision

COMMENT_MAX = 500
CODE_MAX = 64


class PolicyDecisionForm(forms.Form):
    """A decision on the content that the page shows; its digest travels with the form.

    Nothing is chosen beforehand, so Enter alone decides nothing.
    """

    decisions = [
        (VoteDecision.APPROVE.value, _("Approve")),
        (VoteDecision.REJECT.value, _("Reject")),
    ]
    decision = forms.ChoiceField(label=_("Decision"), widget=UnfoldAdminRadioSelectWidget)
    comment = forms.CharField(
        label=_("Comment"),
        max_length=COMMENT_MAX,
        required=False,
        help_text=_("Needed to reject."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
    code = forms.CharField(
        label=_("Code of your authenticator"),
        max_length=CODE_MAX,
        required=False,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "text"}
        ),
    )
    content_sha256 = forms.RegexField(regex=r"^[0-9a-f]{64}$", widget=forms.HiddenInput)

    def __init__(self, *args: Any, is_proven: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["decision"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = self.decisions
        if is_proven:
            self.fields["code"].help_text = _("Not needed: you proved it in the last minutes.")

    def ballot(self, **proof: Any) -> Ballot:
        """The cleaned form as a value of the tokens app."""
        data = self.cleaned_data
        return Ballot(
            decision=VoteDecision(data["decision"]),
            content_sha256=data["content_sha256"],
            comment=data["comment"],
            **proof,
        )


class VoteForm(PolicyDecisionForm):
    """A vote on a batch, which may also be a question."""

    decisions = [
        *PolicyDecisionForm.decisions,
        (VoteDecision.ASK.value, _("Ask a question; decides nothing")),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["comment"].help_text = _("Needed to reject and to ask.")


class BulkApprovalForm(forms.Form):
    """Requests of one band, each with the digest that was seen, and one code for all."""

    chosen = forms.MultipleChoiceField()
    code = forms.CharField(
        label=_("Code of your authenticator"),
        max_length=CODE_MAX,
        required=False,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "inputmode": "text"}
        ),
    )

    def __init__(self, *args: Any, band: Band, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.fields["chosen"]
        assert isinstance(chosen, forms.MultipleChoiceField)
        # Only what stands in the band as it is now: anything else was decided or never in it.
        chosen.choices = [(value, value) for value in map(_seen, band.cards)]
        chosen.error_messages["required"] = _("Choose at least one request.")
        chosen.error_messages["invalid_choice"] = _("A request was decided or changed meanwhile.")

    def contents(self) -> dict[uuid.UUID, str]:
        """The digest that was seen, by request."""
        pairs = (value.split(":") for value in self.cleaned_data["chosen"])
        return {uuid.UUID(request_id): digest for request_id, digest in pairs}


def _seen(card: Card) -> str:
    return f"{card.view.id}:{card.view.content_sha256}"


class AnswerForm(forms.Form):
    """The maker's answer to one question."""

    question_id = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    comment = forms.CharField(
        label=_("Your answer"),
        max_length=COMMENT_MAX,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )
