"""Batches in the background: chunks, pause, stop, crashes, retry; and dry runs."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import InternalError, transaction
from django.utils import timezone

from accounts.types import Role
from tokens import batch_handlers, recharge_selectors, services
from tokens.errors import (
    AlreadyRetriedError,
    BatchStateError,
    NothingToRetryError,
    RechargeTooLargeError,
)
from tokens.ledger import apply, batches, recharge, staging
from tokens.ledger.recharge import StateChangedError
from tokens.models import (
    AuditEvent,
    RechargeBatch,
    RechargeChunk,
    RechargeLine,
    Transfer,
    Wallet,
)
from tokens.recharge_orders import header
from tokens.recharge_rows import RowTotals, StagedRow
from tokens.tests.digests import digest_of_all_tables
from tokens.tests.factories import make_user
from tokens.tests.recharges import available, codes, create, order, read, source, work
from tokens.tests.threads import in_threads
from tokens.types import Category, LotTerms, RechargeMode, UserFilter

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


@pytest.fixture(autouse=True)
def _small_numbers(settings):
    settings.RECHARGE_SYNC_LINES_MAX = 2
    settings.RECHARGE_CHUNK_LINES = 3


def users(count: int):
    return [make_user() for _ in range(count)]


def items(people, amount=5):
    return [(person.user_ref, amount) for person in people]


@pytest.mark.parametrize("mode", ["soft_fail", "atomic"])
def test_a_large_batch_is_accepted_and_applied_by_a_worker(operator, mode):
    people = users(8)
    accepted = create(items(people), actor=operator, mode=mode)
    assert (accepted.status, accepted.lines_count, accepted.done_count) == ("queued", 8, 0)
    assert [available(person) for person in people] == [0] * 8
    done = work(accepted)
    assert (done.status, done.applied_count, done.tokens_total) == ("applied", 8, 40)
    assert done.finished_at is not None
    assert [available(person) for person in people] == [5] * 8
    assert list(RechargeChunk.objects.values_list("rows_count", "state")) == [
        (3, "DONE"),
        (3, "DONE"),
        (2, "DONE"),
    ]
    work(accepted)
    assert [available(person) for person in people] == [5] * 8
    actions = AuditEvent.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["recharge_batch.created", "recharge_batch.finished"]


def test_every_fault_has_its_code_by_precedence_and_across_chunks(operator, settings):
    settings.RECHARGE_AMOUNT_MAX = 100
    now = timezone.now()
    good, frozen, closed, full, other = users(5)
    for person in (frozen, full):
        create([(person.user_ref, 10)], actor=operator)
    Wallet.objects.filter(owner=frozen).update(status="FROZEN")
    Wallet.objects.create(owner=closed, status="CLOSED")
    Wallet.objects.filter(owner=full).update(balance_max=12)
    past = LotTerms(expires_at=now - dt.timedelta(days=1))
    crossed = LotTerms(
        effective_at=now + dt.timedelta(days=2), expires_at=now + dt.timedelta(days=1)
    )
    rows = [
        (good.user_ref, 5, "k1"),
        ("nobody", -5),
        (frozen.user_ref, -5),
        (closed.user_ref, 0),
        (make_user().user_ref, 0),
        (make_user().user_ref, 101, "", past),
        (full.user_ref, 3, "", past),
        (make_user().user_ref, 3, "", past),
        (make_user().user_ref, 3, "", crossed),
        (good.user_ref, 5, "k1"),
        (other.user_ref, 5, "k1"),
        (full.user_ref, 2),
        ("x" * 65, 1),
        ("bad\x00name", 1),
        (make_user().user_ref, 1, "k" * 65),
    ]
    wanted = [
        "applied",
        "account_not_found",
        "account_frozen",
        "account_closed",
        "amount_not_positive",
        "amount_out_of_range",
        "exceeds_max_balance",
        "expiry_in_past",
        "effective_after_expiry",
        "duplicate_row_in_batch",
        "item_key_conflict",
        "duplicate_row_in_batch",
        "account_not_found",
        "account_not_found",
        "key_invalid",
    ]
    seen = services.preview(order=order(), rows=source(rows))
    assert [line.code for line in seen.failures] == wanted[1:]
    receipt = work(create(rows, actor=operator))
    assert codes(receipt) == wanted
    assert receipt.status == "partially_applied"
    atomic = work(create(rows, actor=operator, mode="atomic"))
    assert codes(atomic) == ["rolled_back", *wanted[1:]]
    assert (atomic.status, atomic.tokens_total) == ("failed", 0)


def test_terms_of_the_request_and_of_the_line_reach_the_lot(operator):
    expires = timezone.now() + dt.timedelta(days=30)
    terms = LotTerms(category=Category.PROMO, priority=10, expires_at=expires)
    own = LotTerms(category=Category.REWARD, priority=90)
    first, second, third = users(3)
    receipt = services.create_batch(
        order=order(terms=terms),
        rows=source(
            [(first.user_ref, 1), (second.user_ref, 2, "", own), (third.user_ref, 3)], terms=terms
        ),
        actor_id=operator.pk,
        idempotency_key="k",
    )
    work(receipt)
    lots = RechargeLine.objects.order_by("row_no").values_list(
        "lot__category", "lot__priority", "lot__expires_at", "lot__granted"
    )
    assert list(lots) == [
        ("PROMO", 10, expires, 1),
        ("REWARD", 90, None, 2),
        ("PROMO", 10, expires, 3),
    ]


def test_the_digest_covers_content_and_not_the_cut_into_chunks(operator, settings):
    people = users(7)
    first = create(items(people), actor=operator)
    settings.RECHARGE_CHUNK_LINES = 100
    second = create(items(people), actor=operator)
    other = create(items(people[::-1]), actor=operator)
    dry = services.preview(order=order(), rows=source(items(people)))
    assert first.content_sha256 == second.content_sha256 == dry.content_sha256
    assert other.content_sha256 != first.content_sha256
    batch = RechargeBatch.objects.get(pk=first.batch_id)
    totals = RowTotals.start(header(batch))
    for chunk in batch.chunks.order_by("seq"):
        totals.add([StagedRow(*row) for row in chunk.payload])
    assert totals.sha256 == batch.content_sha256


def test_staged_rows_cannot_be_changed(operator):
    create(items(users(3)), actor=operator)
    with pytest.raises(Exception, match="immutable"), transaction.atomic():
        RechargeChunk.objects.update(payload=[])


@pytest.mark.parametrize("mode", ["soft_fail", "atomic"])
def test_a_dry_run_says_the_same_and_leaves_no_trace(operator, mode):
    people = users(6)
    rows = [*items(people), ("nobody", 5)] if mode == "soft_fail" else items(people)
    before = digest_of_all_tables()
    seen = services.preview(order=order(mode), rows=source(rows))
    assert digest_of_all_tables() == before
    done = work(create(rows, actor=operator, mode=mode))
    assert (seen.status, seen.applied_count, seen.tokens_total) == (
        done.status,
        done.applied_count,
        done.tokens_total,
    )
    assert seen.failures == done.failures
    assert sum(seen.outcomes.values()) == seen.lines_count == done.lines_count


def test_the_server_itself_keeps_a_dry_run_from_writing(operator, monkeypatch):
    def write(**_kwargs):
        Wallet.objects.create(owner=make_user())

    monkeypatch.setattr(apply, "judge", write)
    with pytest.raises(InternalError, match="read-only"):
        services.preview(order=order(), rows=source([("x", 1)]))


def test_a_filter_is_frozen_into_rows(operator):
    chosen = [make_user(user_ref=f"team-{number}") for number in range(4)]
    make_user(user_ref="other-1")
    type(chosen[3]).objects.filter(pk=chosen[3].pk).update(is_active=False)
    asked = order()
    rows = lambda: services.filtered_rows(  # noqa: E731  # a row source
        order=asked, users=UserFilter(role="USER", user_ref_prefix="team-"), amount=7
    )
    receipt = services.create_batch(
        order=asked, rows=rows, actor_id=operator.pk, idempotency_key="k"
    )
    make_user(user_ref="team-late")
    assert read(receipt).lines_count == 3
    work(receipt)
    assert [available(person) for person in chosen] == [7, 7, 7, 0]
    listed = UserFilter(
        user_refs=("team-0", "nobody", "no body"), joined_after=timezone.now() - dt.timedelta(1)
    )
    seen = services.preview(
        order=asked, rows=lambda: services.filtered_rows(order=asked, users=listed, amount=7)
    )
    assert (seen.lines_count, seen.applied_count) == (1, 1)


def test_too_many_rows_for_the_mode_store_nothing(operator, settings):
    settings.RECHARGE_SOFT_FAIL_LINES_MAX = 4
    with pytest.raises(RechargeTooLargeError):
        create(items(users(5)), actor=operator)
    assert not RechargeBatch.objects.exists()
    assert not RechargeChunk.objects.exists()


# --- Crashes --------------------------------------------------------------------------------------
class CrashError(Exception):
    """Stands for a killed worker: the transaction is lost, the lease is not given back."""


STEPS = [
    "staging.prepare",
    "staging.fill_from_chunks",
    "apply.judge",
    "recharge.write_grants",
    "batches.mark_done",
    "batches.count",
]


@pytest.mark.parametrize("mode", ["soft_fail", "atomic"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("at", [1, 2])
def test_a_crash_at_any_step_resumes_and_applies_each_row_once(
    operator, monkeypatch, mode, step, at
):
    people = users(7)
    accepted = create(items(people), actor=operator, mode=mode)
    modules = {"staging": staging, "apply": apply, "recharge": recharge, "batches": batches}
    module, name = step.split(".")
    whole = getattr(modules[module], name)
    calls = []

    def crash_after(*args, **kwargs):
        answer = whole(*args, **kwargs)
        calls.append(1)
        if len(calls) == at:
            raise CrashError
        return answer

    monkeypatch.setattr(modules[module], name, crash_after)
    if mode == "soft_fail" or at == 1:
        with pytest.raises(CrashError):
            work(accepted)
        halfway = read(accepted)
        assert (halfway.status, halfway.done_count) == ("applying", 3 * (at - 1))
        assert batch_handlers.unclaimed_batches() == []
        assert work(accepted).status == "applying", "somebody else holds the lease"
    RechargeBatch.objects.filter(status="APPLYING").update(
        lease_expires_at=timezone.now() - dt.timedelta(seconds=1)
    )
    assert batch_handlers.unclaimed_batches() == [accepted.batch_id]
    done = work(accepted)
    assert (done.status, done.applied_count) == ("applied", 7)
    assert [available(person) for person in people] == [5] * 7
    assert Transfer.objects.count() == 7


def test_a_batch_that_crashes_again_and_again_is_paused(operator, monkeypatch, settings):
    settings.RECHARGE_ATTEMPTS_MAX = 2
    settings.RECHARGE_LEASE_S = 0
    accepted = create(items(users(3)), actor=operator)
    with monkeypatch.context() as patched:
        patched.setattr(batches, "mark_done", lambda **_: 1 / 0)
        for _attempt in range(2):
            with pytest.raises(ZeroDivisionError):
                work(accepted)
        assert work(accepted).status == "paused"
    settings.RECHARGE_LEASE_S = 60
    services.resume_batch(batch_id=accepted.batch_id, actor_id=operator.pk)
    assert work(accepted).status == "applied"


def test_a_worker_that_lost_its_lease_writes_nothing(operator, settings):
    settings.RECHARGE_LEASE_S = 0
    accepted = create(items(users(3)), actor=operator)
    with transaction.atomic():
        slow = batches.claim(batch_id=accepted.batch_id, lease=dt.timedelta(0))
    assert slow is not None
    assert slow.lease_id is not None
    assert work(accepted).status == "applied"
    with transaction.atomic():
        assert batches.lock_for_work(batch_id=accepted.batch_id, lease_id=slow.lease_id) is None


def test_four_workers_on_one_batch_apply_each_row_once(operator):
    people = users(9)
    accepted = create(items(people), actor=operator)
    assert in_threads(*[lambda: work(accepted) for _ in range(4)]) == []
    assert read(accepted).status == "applied"
    assert [available(person) for person in people] == [5] * 9


@pytest.mark.parametrize("mode", ["soft_fail", "atomic"])
def test_a_wallet_frozen_between_judging_and_locking_is_judged_again(operator, monkeypatch, mode):
    people = users(2)
    create(items(people), actor=operator)
    whole = recharge.write_grants
    attempts: list[int] = []

    def freeze_then_write(**kwargs):
        if not attempts:
            attempts.append(1)
            in_threads(lambda: Wallet.objects.filter(owner=people[0]).update(status="FROZEN"))
        return whole(**kwargs)

    monkeypatch.setattr(recharge, "write_grants", freeze_then_write)
    receipt = create(items(people), actor=operator, mode=mode)
    innocent = "applied" if mode == "soft_fail" else "rolled_back"
    assert codes(receipt) == ["account_frozen", innocent]


def test_a_change_that_locking_cannot_rule_out_is_a_bug_and_not_a_loop(operator, monkeypatch):
    def always(**_kwargs):
        raise StateChangedError

    monkeypatch.setattr(recharge, "write_grants", always)
    with pytest.raises(AssertionError):
        create(items(users(1)), actor=operator)
    assert not RechargeBatch.objects.exists()


# --- Pause, resume, stop --------------------------------------------------------------------------
def test_pause_takes_effect_between_chunks_and_resume_goes_on(operator, monkeypatch):
    people = users(7)
    accepted = create(items(people), actor=operator)
    whole = batches.count

    def pause_after_first(**kwargs):
        whole(**kwargs)
        monkeypatch.setattr(batches, "count", whole)
        transaction.on_commit(
            lambda: services.pause_batch(batch_id=accepted.batch_id, actor_id=operator.pk)
        )

    monkeypatch.setattr(batches, "count", pause_after_first)
    paused = work(accepted)
    assert (paused.status, paused.done_count, paused.applied_count) == ("paused", 3, 3)
    assert work(accepted).done_count == 3, "a message that arrives late changes nothing"
    again = services.pause_batch(batch_id=accepted.batch_id, actor_id=operator.pk)
    assert again.status == "paused"
    services.resume_batch(batch_id=accepted.batch_id, actor_id=operator.pk)
    assert work(accepted).status == "applied"
    assert [available(person) for person in people] == [5] * 7
    actions = AuditEvent.objects.order_by("pk").values_list("action", "actor_id")
    assert list(actions) == [
        ("recharge_batch.created", operator.pk),
        ("recharge_batch.paused", operator.pk),
        ("recharge_batch.resumed", operator.pk),
        ("recharge_batch.finished", None),
    ]


def test_stop_keeps_what_is_done_and_records_the_rest_as_not_attempted(operator, monkeypatch):
    people = users(7)
    accepted = create([*items(people), ("nobody", 1)], actor=operator)
    whole = batches.count

    def stop_after_first(**kwargs):
        whole(**kwargs)
        monkeypatch.setattr(batches, "count", whole)
        transaction.on_commit(
            lambda: services.stop_batch(batch_id=accepted.batch_id, actor_id=operator.pk)
        )

    monkeypatch.setattr(batches, "count", stop_after_first)
    stopped = work(accepted)
    assert (stopped.status, stopped.applied_count, stopped.done_count) == ("stopped", 3, 8)
    assert codes(stopped) == ["applied"] * 3 + ["not_attempted"] * 5
    assert services.stop_batch(batch_id=accepted.batch_id, actor_id=operator.pk) == stopped
    with pytest.raises(BatchStateError):
        services.resume_batch(batch_id=accepted.batch_id, actor_id=operator.pk)
    child = work(
        services.retry_failures(
            batch_id=accepted.batch_id, actor_id=operator.pk, idempotency_key="r"
        )
    )
    assert (child.status, child.applied_count, child.lines_count) == ("partially_applied", 4, 5)
    assert [available(person) for person in people] == [5] * 7


def test_a_finished_batch_can_neither_be_paused_nor_stopped(operator):
    done = create(items(users(1)), actor=operator)
    for step in (services.pause_batch, services.resume_batch, services.stop_batch):
        with pytest.raises(BatchStateError):
            step(batch_id=done.batch_id, actor_id=operator.pk)


def test_progress_tells_rate_and_time_left_while_applying(operator):
    accepted = create(items(users(6)), actor=operator)
    now = timezone.now()
    RechargeBatch.objects.filter(pk=accepted.batch_id).update(
        status="APPLYING",
        lease_id=uuid.uuid4(),
        lease_expires_at=now,
        run_started_at=now - dt.timedelta(seconds=10),
        run_done_before=1,
        progressed_at=now,
    )
    batch = RechargeBatch.objects.get()
    batch.done_count = 3
    receipt = recharge_selectors.receipt(batch, is_replay=False)
    assert (receipt.rows_per_s, receipt.eta_s) == (0.2, 15)


# --- Retry ----------------------------------------------------------------------------------------
def test_failures_are_retried_once_and_the_retry_can_be_retried(operator):
    parent = create([("late", 5), ("later", 6)], actor=operator)
    late = make_user(user_ref="late")
    child = services.retry_failures(
        batch_id=parent.batch_id, actor_id=operator.pk, idempotency_key="r"
    )
    assert (child.status, child.retry_of, child.source) == (
        "partially_applied",
        parent.batch_id,
        "retry",
    )
    assert available(late) == 5
    again = services.retry_failures(
        batch_id=parent.batch_id, actor_id=operator.pk, idempotency_key="r"
    )
    assert (again.is_replay, again.batch_id) == (True, child.batch_id)
    with pytest.raises(AlreadyRetriedError):
        services.retry_failures(
            batch_id=parent.batch_id, actor_id=operator.pk, idempotency_key="r2"
        )
    assert read(parent).retries == (child.batch_id,)
    later = make_user(user_ref="later")
    last = services.retry_failures(
        batch_id=child.batch_id,
        actor_id=operator.pk,
        idempotency_key="r",
        mode=RechargeMode.ATOMIC,
    )
    assert (last.status, last.mode) == ("applied", "atomic")
    assert (available(late), available(later)) == (5, 6)


def test_a_retry_leaves_rows_that_are_wrong_in_themselves(operator):
    twice = make_user()
    rows = [(twice.user_ref, 5), (twice.user_ref, 5), (make_user().user_ref, 0), ("late", 5)]
    parent = create(rows, actor=operator)
    work(parent)
    make_user(user_ref="late")
    child = services.retry_failures(
        batch_id=parent.batch_id, actor_id=operator.pk, idempotency_key="r"
    )
    retried = RechargeLine.objects.filter(batch_id=child.batch_id)
    assert list(retried.values_list("user_ref", flat=True)) == ["late"]
    assert (child.status, available(twice)) == ("applied", 5)


def test_two_retries_at_once_credit_once(operator):
    parent = create([("late", 5)], actor=operator)
    late = make_user(user_ref="late")
    raised = in_threads(
        *[
            lambda: services.retry_failures(
                batch_id=parent.batch_id,
                actor_id=operator.pk,
                idempotency_key=uuid.uuid4().hex,
            )
            for _ in range(8)
        ]
    )
    assert [type(error) for error in raised] == [AlreadyRetriedError] * 7
    assert available(late) == 5


def test_what_cannot_be_retried(operator):
    unfinished = create(items(users(3)), actor=operator)
    applied = create(items(users(1)), actor=operator)
    for receipt in (unfinished, applied):
        with pytest.raises(BatchStateError):
            services.retry_failures(
                batch_id=receipt.batch_id, actor_id=operator.pk, idempotency_key="r"
            )
    unreadable = services.create_batch(
        order=order(),
        rows=lambda: [StagedRow("", 0, "", "PAID", 50, None, None, "user_missing")],
        actor_id=operator.pk,
        idempotency_key="k",
    )
    with pytest.raises(NothingToRetryError):
        services.retry_failures(
            batch_id=unreadable.batch_id, actor_id=operator.pk, idempotency_key="r"
        )
