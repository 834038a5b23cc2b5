"""A real Celery worker is killed in the middle of a batch; another one finishes it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from accounts.types import Role
from facefusion_site.celery import app
from tests.crash import works
from tests.crash.batches import assert_halfway, is_resting, picture
from tests.crash.scenario import register
from tests.workers import Workers, wait_until
from tokens import audit
from tokens.models import RechargeBatch

pytestmark = pytest.mark.django_db(transaction=True)
LEASE_S = 3
CHUNK = 2
ROWS = 200


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    with app.connection_for_write() as broker:
        for queue in ("money", "default"):
            broker.SimpleQueue(queue).clear()
    workers = Workers(
        tmp_path,
        queues="money,default",
        DJANGO_SETTINGS_MODULE="tests.crash.settings",
        RECHARGE_LEASE_S=str(LEASE_S),
    )
    try:
        yield workers
    finally:
        workers.end()


def rows_done(batch_id: uuid.UUID) -> int:
    return RechargeBatch.objects.values_list("done_count", flat=True).get(pk=batch_id)


def test_killed_worker_s_batch_is_finished_by_another_and_each_row_once(workers, settings):
    settings.RECHARGE_SYNC_LINES_MAX = 1
    settings.RECHARGE_CHUNK_LINES = CHUNK
    with transaction.atomic():
        actor_id, _ref = register(role=Role.OPERATOR)
        people = [register() for _row in range(ROWS)]
    owner_ids = [pk for pk, _ref in people]
    rows = [(ref, 1 + number % 7) for number, (_pk, ref) in enumerate(people)]
    first = workers.start(with_beat=False)
    batch_id = works.create("soft_fail", rows, actor_id=actor_id, key=uuid.uuid4().hex)
    before = picture(batch_id, owner_ids)

    wait_until(lambda: rows_done(batch_id) > CHUNK, timeout_s=60, pause_s=0.005, hint=workers.logs)
    first.kill()
    first.wait(timeout=30)
    left = picture(batch_id, owner_ids)
    assert left.status == "APPLYING", "the batch is too easy to interrupt"
    assert audit.find_violations() == []
    workers.start(with_beat=True)
    wait_until(lambda: is_resting(batch_id), timeout_s=60, pause_s=0.1, hint=workers.logs)

    after = picture(batch_id, owner_ids)
    assert_halfway(left, before=before, after=after, chunk=CHUNK)
    assert (after.status, after.applied_count) == ("APPLIED", ROWS)
    assert after.transfers == tuple(
        (row_no, "RECHARGE", amount) for row_no, (_ref, amount) in enumerate(rows, start=1)
    )
    assert after.available == tuple(amount for _ref, amount in rows)
    assert after.events == (("recharge_batch.created", 1), ("recharge_batch.finished", 1))
