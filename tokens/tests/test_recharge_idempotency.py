"""Keys: replays tell the first story, other bodies are refused, running requests are named."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from accounts.types import Role
from facefusion_site.common.idempotency import IdempotencyKeyReusedError
from tokens import services
from tokens.errors import IdempotencyInProgressError, InvalidRechargeError
from tokens.ledger import batches
from tokens.models import RechargeBatch, Transfer
from tokens.tests.factories import make_user
from tokens.tests.recharges import available, create, order, read, source, work
from tokens.tests.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator():
    return make_user(role=Role.OPERATOR)


def while_running(key: str, actor, fingerprint: str, other_call):
    """Make ``other_call`` in another thread while a request with the key is at work."""
    raised = []
    with transaction.atomic():
        batches.claim_key(actor_id=actor.pk, key_scope="create", key=key, fingerprint=fingerprint)
        raised += in_threads(other_call)
    return raised


def test_a_running_request_is_a_conflict_and_another_body_is_refused_first(operator):
    user = make_user()

    def same():
        create([(user.user_ref, 1)], actor=operator, key="k", fingerprint="a" * 64)

    def other():
        create([(user.user_ref, 2)], actor=operator, key="k", fingerprint="b" * 64)

    assert [type(e) for e in while_running("k", operator, "a" * 64, same)] == [
        IdempotencyInProgressError
    ]
    assert [type(e) for e in while_running("k", operator, "a" * 64, other)] == [
        IdempotencyKeyReusedError
    ]
    same()
    assert available(user) == 1


def test_a_crash_frees_the_key_and_nothing_is_stored(operator, monkeypatch):
    user = make_user()
    with monkeypatch.context() as patched:
        patched.setattr(batches, "record", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            create([(user.user_ref, 1)], actor=operator, key="k")
    assert not RechargeBatch.objects.exists()
    assert not Transfer.objects.exists()
    assert not create([(user.user_ref, 1)], actor=operator, key="k").is_replay
    assert available(user) == 1


def test_a_request_that_was_never_accepted_leaves_its_key_usable(operator):
    with pytest.raises(InvalidRechargeError):
        create([], actor=operator, key="k")
    assert not create([("nobody", 1)], actor=operator, key="k").is_replay


def test_the_replay_of_an_accepted_batch_tells_what_was_told_first(operator, settings):
    settings.RECHARGE_SYNC_LINES_MAX = 1
    people = [make_user() for _ in range(3)]
    rows = [(person.user_ref, 1) for person in people]
    first = create(rows, actor=operator, key="k")
    assert work(first).status == "applied"
    again = create(rows, actor=operator, key="k")
    assert (again.is_replay, again.status, again.done_count) == (True, "queued", 0)
    assert again.finished_at is None
    assert (again.batch_id, again.created_at) == (first.batch_id, first.created_at)
    assert read(first).status == "applied"
    assert [available(person) for person in people] == [1] * 3


def test_a_key_means_something_else_for_another_operation(operator):
    user = make_user()
    first = create([(user.user_ref, 1), ("late", 1)], actor=operator, key="k")
    child = services.retry_failures(
        batch_id=first.batch_id, actor_id=operator.pk, idempotency_key="k"
    )
    assert not child.is_replay
    assert child.batch_id != first.batch_id


def test_the_rows_of_a_replay_are_not_even_read(operator):
    first = create([("nobody", 1)], actor=operator, key="k")

    def never():
        raise AssertionError("a replay needs no rows")

    again = services.create_batch(
        order=order(), rows=never, actor_id=operator.pk, idempotency_key="k"
    )
    assert again.batch_id == first.batch_id


def test_the_database_itself_refuses_a_second_batch_under_a_key(operator, monkeypatch):
    create([("nobody", 1)], actor=operator, key="k")
    monkeypatch.setattr(batches, "claim_key", lambda **_: None)
    with pytest.raises(Exception, match="rechargebatch_key_per_actor_and_scope"):
        services.create_batch(
            order=order(), rows=source([("x", 1)]), actor_id=operator.pk, idempotency_key="k"
        )


def test_sixteen_threads_with_eight_keys_credit_eight_times(operator):
    user = make_user()
    raised = in_threads(
        *[
            lambda key=key: create([(user.user_ref, 1)], actor=operator, key=f"k{key % 8}")
            for key in range(16)
        ]
    )
    assert {type(error) for error in raised} <= {IdempotencyInProgressError}
    assert available(user) == 8
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone()[0] == 0
