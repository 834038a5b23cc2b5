"""The inbox: what is whose turn, in bands; several approved at once, but never across bands."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.tests.authenticators import code_of, enrol
from accounts.types import Role
from tokens import approval_inbox, services
from tokens.approvals import VoteDecision
from tokens.draft_errors import MixedBandsError
from tokens.models import ApprovalRequest
from tokens.tests.approvals import ballot, make_policy
from tokens.tests.factories import make_user
from tokens.tests.recharges import create

pytestmark = pytest.mark.django_db(transaction=True)
URL = "admin:tokens_approvalrequest_inbox"


@pytest.fixture
def omar(client):
    user = make_user(role=Role.OPERATOR)
    enrol(user)
    client.force_login(user)
    return user


@pytest.fixture
def waiting(omar):
    """Two small and one large request of another maker, and one of the viewer's own."""
    make_policy(name="From 10", batch_tokens_min=10)
    make_policy(name="From 1000", batch_tokens_min=1_000)
    maker = make_user(role=Role.OPERATOR)
    for tokens, actor in ((20, maker), (30, maker), (2_000, maker), (40, omar)):
        create([(make_user().user_ref, tokens)], actor=actor)
    return list(ApprovalRequest.objects.order_by("opened_at"))


def contents(*rows) -> dict[uuid.UUID, str]:
    return {row.pk: row.content_sha256 for row in rows}


def statuses() -> list[str]:
    return list(ApprovalRequest.objects.order_by("opened_at").values_list("status", flat=True))


def test_my_turn_is_in_bands_and_my_own_waits_for_others(omar, waiting, settings):
    settings.APPROVAL_SLA_S = -1
    bands, others = approval_inbox.inbox(viewer_id=omar.pk)
    assert [(band.policies, len(band.cards)) for band in bands] == [
        (("From 10",), 2),
        (("From 10", "From 1000"), 1),
    ]
    assert [card.view.id for card in others] == [waiting[3].pk]
    assert all(card.is_late for card in others)
    question = ballot(waiting[0], VoteDecision.ASK)
    services.vote_on_batch(request_id=waiting[0].pk, voter_id=omar.pk, ballot=question)
    bands, _others = approval_inbox.inbox(viewer_id=omar.pk)
    assert [card.flags for card in bands[0].cards] == [("question_open",), ()]


def test_one_code_approves_the_chosen_of_one_band(client, omar, waiting):
    page = client.get(reverse(URL)).content.decode()
    assert page.count('name="chosen"') == 3
    chosen = [f"{row.pk}:{row.content_sha256}" for row in waiting[:2]]
    wrong = client.post(reverse(URL), {"band": "0", "chosen": chosen, "code": "000000"})
    assert "The code is wrong" in wrong.content.decode()
    other = [f"{waiting[2].pk}:{waiting[2].content_sha256}"]
    mixed = client.post(reverse(URL), {"band": "0", "chosen": chosen + other, "code": ""})
    assert "decided or changed meanwhile" in mixed.content.decode()
    none = client.post(reverse(URL), {"band": "0", "code": ""})
    assert "at least one request" in none.content.decode()
    assert statuses() == ["OPEN"] * 4


def test_a_fresh_code_approves_them(client, omar, waiting):
    chosen = [f"{row.pk}:{row.content_sha256}" for row in waiting[:2]]
    done = client.post(reverse(URL), {"band": "0", "chosen": chosen, "code": code_of(omar)})
    assert done.status_code == 302
    assert statuses() == ["APPROVED", "APPROVED", "OPEN", "OPEN"]


def test_bands_are_never_mixed_and_refusals_are_told(omar, waiting):
    now = timezone.now()
    for rows in ((), (waiting[0], waiting[2])):
        with pytest.raises(MixedBandsError):
            services.approve_together(
                contents=contents(*rows), voter_id=omar.pk, second_factor_at=now
            )
    done, refusals = services.approve_together(
        contents=contents(waiting[1], waiting[3]), voter_id=omar.pk, second_factor_at=now
    )
    assert (done, [error.code for error in refusals]) == (1, ["maker_may_not_check"])
    assert statuses() == ["OPEN", "APPROVED", "OPEN", "OPEN"]
