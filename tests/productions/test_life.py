"""A production from its draft to its returned rest, and what may stop it on the way."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import connection
from django.utils import timezone

from accounts.errors import RoleRequiredError, StepUpRequiredError
from accounts.types import Role
from inference import handlers
from inference import services as inference_services
from inference.models import SwapJob
from inference.tests import factories as inference_factories
from productions import selectors, services
from productions.errors import (
    NothingToRetryError,
    ProductionBusyError,
    ProductionEmptyError,
    ProductionOverBudgetError,
    ProductionStateError,
    ProductionWalletBusyError,
)
from productions.models import Production, RowAttempt
from productions.scheduled_tasks import advance as scheduled_advance
from productions.services import endings, funding, runs
from productions.types import RetryOrder, RowState, State
from tests.productions import factories
from tokens import services as tokens_services
from tokens.approvals import VoteDecision
from tokens.models import ApprovalRequest, AuditEvent, RechargeBatch
from tokens.tests import approvals

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def studio():
    return factories.studio()


def people(studio, *refs: str, **more):
    return tuple(factories.person(ref, owner_id=studio.pk, **more) for ref in refs)


def states(production) -> dict[str, int]:
    return dict(selectors.progress(production=production).states)


def books(production) -> tuple[int, int, int, int]:
    found = selectors.progress(production=production).books
    return found.funded, found.spending.settled, found.returned, found.left


def vote(decision: VoteDecision) -> None:
    request = ApprovalRequest.objects.get(status="OPEN")
    tokens_services.vote_on_batch(
        request_id=request.pk,
        voter_id=inference_factories.make_user(role=Role.ADMIN).pk,
        ballot=approvals.ballot(request, decision),
    )


def queue_too_long(production) -> None:
    """As if nobody had taken the jobs: a fault of ours that ends them with a refund."""
    SwapJob.objects.filter(owner_id=production.owner_id, status="QUEUED").update(
        queued_at=timezone.now() - dt.timedelta(days=2)
    )
    handlers.requeue_stale_jobs()


def test_a_production_is_paid_run_tried_again_and_settled_to_the_token(studio, fast_swap):
    production = factories.make_production(
        studio, people=people(studio, "ada", "bob"), rows=5, budget=9, is_automatic=False
    )
    estimated = services.estimate(production=production, actor_id=studio.pk)
    assert (estimated.state, estimated.estimate) == (State.ESTIMATED, 5)

    production = services.fund(production=production, actor_id=factories.maker().pk)
    assert (production.state, factories.balance(studio)) == (State.FUNDED, (9, 0))
    services.start(production=production, actor_id=studio.pk)
    assert (states(production), factories.balance(studio)) == ({"queued": 5}, (4, 5))
    first_id = factories.job_id(production, row_no=1)
    inference_services.stop_swap_job(job_id=first_id, actor_id=studio.pk)
    with pytest.raises(ProductionBusyError) as busy:
        services.finish(production=production, actor_id=studio.pk)
    assert (busy.value.code, busy.value.context["open_rows"]) == ("production_busy", 4)
    factories.run_jobs(production)
    assert states(production) == {"failed": 1, "succeeded": 4}

    assert services.retry(production=production, actor_id=studio.pk) == 1
    services.advance(production=production)
    factories.run_jobs(production)
    row = selectors.rows(production=production, limit=1)[0]
    assert (row.state, len(row.attempts), row.attempts[0]) == ("succeeded", 2, first_id)
    with pytest.raises(NothingToRetryError) as nothing:
        services.retry(production=production, actor_id=studio.pk)
    assert nothing.value.code == "production_nothing_to_retry"

    finished = services.finish(production=production, actor_id=studio.pk)
    assert (finished.state, finished.settled_at is None) == (State.FINISHED, False)
    assert (books(finished), factories.balance(studio)) == ((9, 5, 4, 0), (0, 0))
    services.finish(production=production, actor_id=studio.pk)
    assert factories.recharges() == 2
    told = AuditEvent.objects.filter(subject=f"production:{production.pk}").order_by("pk")
    assert [event.action.removeprefix("production.") for event in told] == [
        "created",
        "manifest_loaded",
        "estimated",
        "funding_asked",
        "funded",
        "started",
        "retried",
        "finished",
        "settled",
    ]


def test_tokens_wait_for_approval_and_a_rejection_says_why(studio, fast_swap):
    approvals.make_policy(batch_tokens_min=1)
    production = factories.make_production(studio, people=people(studio, "ada"), rows=2)
    services.estimate(production=production, actor_id=studio.pk)

    waiting = services.fund(production=production, actor_id=factories.maker().pk)
    services.fund(production=production, actor_id=factories.maker().pk)
    assert (waiting.state, factories.recharges()) == (State.AWAITING_APPROVAL, 1)
    vote(VoteDecision.REJECT)
    rejected = services.advance(production=production)
    assert (rejected.state, rejected.funding_error) == (State.ESTIMATED, "rejected")

    services.fund(production=production, actor_id=factories.maker().pk)
    vote(VoteDecision.APPROVE)
    assert services.advance(production=production).state == State.AWAITING_APPROVAL
    batch = RechargeBatch.objects.get(status="QUEUED")
    tokens_services.follow_batch(batch_id=batch.pk)
    assert services.advance(production=production).state == State.RUNNING
    factories.run_jobs(production)
    assert services.advance(production=production).state == State.FINISHED
    assert books(production) == (2, 2, 0, 0)


def test_a_look_that_comes_late_leaves_a_newer_wish_alone(studio, monkeypatch):
    approvals.make_policy(batch_tokens_min=1)
    production = factories.make_production(studio, people=people(studio, "ada"), rows=2)
    services.estimate(production=production, actor_id=studio.pk)
    services.fund(production=production, actor_id=factories.maker().pk)
    vote(VoteDecision.REJECT)
    look = funding.recharge

    def look_slowly(*, production):
        """Meanwhile somebody else notes the refusal and asks for tokens again."""
        seen = look(production=production)
        monkeypatch.setattr(funding, "recharge", look)
        services.advance(production=Production.objects.get())
        services.fund(production=Production.objects.get(), actor_id=factories.maker().pk)
        return seen

    monkeypatch.setattr(funding, "recharge", look_slowly)
    late = funding.refresh_funding(production=production)
    assert (late.state, late.funding_number) == (State.AWAITING_APPROVAL, 2)
    assert (late.funding_error, factories.recharges()) == ("", 2)


def test_a_wish_for_tokens_survives_a_crash_before_its_recharge(studio):
    production = factories.make_production(studio, people=people(studio, "ada"), rows=2)
    services.estimate(production=production, actor_id=studio.pk)
    funding._ask(production, factories.maker().pk, None)
    assert factories.recharges() == 0

    # The recharge was made, and the crash came before that was noted.
    production.refresh_from_db()
    funding.recharge(production=production)
    for _try in range(2):
        scheduled_advance()

    production.refresh_from_db()
    assert (production.state, factories.recharges()) == (State.RUNNING, 1)
    assert factories.balance(studio) == (0, 2)


def test_a_wave_that_breaks_leaves_nothing_and_is_made_once(studio, monkeypatch):
    production = factories.funded(studio, people=people(studio, "ada"), rows=3)

    def crash(_rows):
        raise RuntimeError("the machine is gone")

    with monkeypatch.context() as broken:
        broken.setattr(runs, "_note_attempts", crash)
        with pytest.raises(RuntimeError):
            services.start(production=production, actor_id=studio.pk)
    assert (SwapJob.objects.count(), factories.balance(studio)) == (0, (3, 0))

    services.advance(production=production)
    services.advance(production=production)
    assert (SwapJob.objects.count(), factories.balance(studio)) == (3, (0, 3))


def test_starts_at_once_make_each_job_once(studio, settings):
    settings.PRODUCTION_WAVE_ROWS = 3
    production = factories.funded(studio, people=people(studio, "ada", "bob"), rows=10)

    def run() -> None:
        try:
            services.advance(production=production)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _runner in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert SwapJob.objects.count() == RowAttempt.objects.count() == 10
    assert {row.state for row in factories.rows_of(production)} == {RowState.STARTED}
    assert factories.balance(studio) == (0, 10)


def test_faults_of_ours_are_tried_again_by_themselves_and_then_it_ends(studio, fast_swap):
    production = factories.funded(studio, people=people(studio, "ada"), rows=3, budget=5)
    services.advance(production=production)
    queue_too_long(production)
    assert services.advance(production=production).state == State.RUNNING
    assert states(production) == {"queued": 3}

    queue_too_long(production)
    ended = services.advance(production=production)

    assert (ended.state, states(production)) == (State.FINISHED, {"failed": 3})
    assert (books(ended), factories.balance(studio)) == ((5, 0, 5, 0), (0, 0))


def test_an_end_survives_a_crash_before_its_return(studio, fast_swap, monkeypatch):
    production = factories.funded(
        studio, people=people(studio, "ada"), rows=1, budget=3, is_automatic=False
    )
    services.start(production=production, actor_id=studio.pk)
    factories.run_jobs(production)

    def crash(*, production):
        raise RuntimeError("the machine is gone")

    with monkeypatch.context() as broken:
        broken.setattr(endings, "settle", crash)
        with pytest.raises(RuntimeError):
            services.finish(production=production, actor_id=studio.pk)
    # The next one made the reversal, and crashed before that was noted.
    production.refresh_from_db()
    endings._return_rest(production, funding.recharge(production=production))
    assert (production.state, production.settled_at) == (State.FINISHED, None)

    for _try in range(2):
        scheduled_advance()

    production.refresh_from_db()
    assert production.settled_at is not None
    assert (books(production), factories.balance(studio)) == ((3, 1, 2, 0), (0, 0))
    assert factories.recharges() == 2


def test_canceling_stops_jobs_and_returns_what_they_did_not_use(studio, fast_swap):
    production = factories.funded(studio, people=people(studio, "ada"), rows=3)
    services.start(production=production, actor_id=studio.pk)
    handlers.run_swap_job(job_id=factories.job_id(production, row_no=1))

    for _try in range(2):
        canceled = services.cancel(production=production, actor_id=studio.pk)

    assert (canceled.state, states(production)) == (
        State.CANCELED,
        {"succeeded": 1, "canceled": 2},
    )
    assert (books(canceled), factories.balance(studio)) == ((3, 1, 2, 0), (0, 0))
    services.advance(production=production)
    assert factories.recharges() == 2
    assert AuditEvent.objects.filter(action="production.canceled").count() == 1


def test_canceling_recalls_tokens_that_wait_and_leaves_others_alone(studio):
    approvals.make_policy(batch_tokens_min=1)
    production = factories.make_production(studio, people=people(studio, "ada"), rows=1)
    services.estimate(production=production, actor_id=studio.pk)
    services.fund(production=production, actor_id=factories.maker().pk)
    draft = factories.make_production(studio, people=people(studio, "ada"), rows=1)
    services.cancel(production=draft, actor_id=studio.pk)

    canceled = services.cancel(production=production, actor_id=studio.pk)

    assert canceled.settled_at is not None
    assert RechargeBatch.objects.get().status == "STOPPED"
    assert books(canceled) == (0, 0, 0, 0)


def test_a_wallet_serves_one_production_at_a_time(studio):
    factories.funded(studio, people=people(studio, "ada"), rows=1)
    second = factories.make_production(studio, people=people(studio, "ada"), rows=1)
    services.estimate(production=second, actor_id=studio.pk)

    with pytest.raises(ProductionWalletBusyError) as busy:
        services.fund(production=second, actor_id=factories.maker().pk)

    assert busy.value.code == "production_wallet_busy"
    second.refresh_from_db()
    assert (second.state, factories.recharges()) == (State.ESTIMATED, 1)


def test_steps_out_of_turn_are_refused(studio):
    production = factories.make_production(studio, people=people(studio, "ada"), rows=2, budget=1)
    with pytest.raises(ProductionStateError) as early:
        services.start(production=production, actor_id=studio.pk)
    assert early.value.code == "production_state"
    services.estimate(production=production, actor_id=studio.pk)
    with pytest.raises(ProductionOverBudgetError) as over:
        services.fund(production=production, actor_id=factories.maker().pk)
    assert (over.value.code, over.value.context) == (
        "production_over_budget",
        {"estimate": 2, "budget": 1},
    )
    factories.load(production, ["ada"])
    services.estimate(production=production, actor_id=studio.pk)
    with pytest.raises(RoleRequiredError):
        services.fund(production=production, actor_id=studio.pk)
    with pytest.raises(StepUpRequiredError):
        services.fund(production=production, actor_id=factories.maker().pk, unproven_tokens_max=0)
    factories.load(production, ["nobody"])
    with pytest.raises(ProductionEmptyError) as empty:
        services.estimate(production=production, actor_id=studio.pk)
    assert empty.value.code == "production_empty"
    assert factories.recharges() == 0


def test_a_price_that_rose_never_breaks_the_budget(studio, settings):
    production = factories.funded(studio, people=people(studio, "ada"), rows=3)
    settings.TOKENS_PRICE_IMAGE = 2
    services.start(production=production, actor_id=studio.pk)

    assert [row.error_code for row in factories.rows_of(production)] == [
        "",
        "production_budget_spent",
        "production_budget_spent",
    ]
    assert factories.balance(studio) == (1, 2)


def test_a_frozen_wallet_keeps_rows_ready(studio):
    production = factories.funded(studio, people=people(studio, "ada"), rows=1)
    admin = inference_factories.make_user(role=Role.ADMIN)
    tokens_services.freeze_wallet(user_ref=studio.user_ref, actor_id=admin.pk, reason="tests")
    scheduled_advance()
    assert states(production) == {"ready": 1}

    tokens_services.unfreeze_wallet(user_ref=studio.user_ref, actor_id=admin.pk, reason="tests")
    scheduled_advance()
    assert states(production) == {"queued": 1}


def test_a_row_gets_another_target_with_its_retry(studio):
    production = factories.funded(studio, people=people(studio, "ada"), rows=2, is_automatic=False)
    services.start(production=production, actor_id=studio.pk)
    second_id = factories.job_id(production, row_no=2)
    inference_services.stop_swap_job(job_id=second_id, actor_id=studio.pk)
    better = inference_factories.make_asset(owner_id=studio.pk)

    order = RetryOrder(row_no=2, target_asset_id=better.pk)
    assert services.retry(production=production, orders=[order], actor_id=studio.pk) == 1
    services.advance(production=production)

    job = SwapJob.objects.select_related("quote").get(pk=factories.job_id(production, row_no=2))
    assert job.quote.target_id == better.pk
