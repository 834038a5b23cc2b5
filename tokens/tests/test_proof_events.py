from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from structlog.contextvars import bound_contextvars

from facefusion_site.common.idempotency import fingerprint
from tokens.models import AuditEvent
from tokens.services import proof
from tokens.tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def record(**changes) -> AuditEvent:
    given = {
        "actor_id": None,
        "action": "wallet.frozen",
        "subject": "wallet:1",
        "before": {"status": "ACTIVE"},
        "after": {"status": "FROZEN"},
    }
    proof.record_event(**{**given, **changes})
    return AuditEvent.objects.latest("pk")


def test_an_event_keeps_both_states_and_their_digests():
    actor = make_user()
    with transaction.atomic(), bound_contextvars(request_id="req-1"):
        event = record(actor_id=actor.pk)
    assert event.actor == actor
    assert event.before == {"status": "ACTIVE"}
    assert event.after_sha256 == fingerprint({"status": "FROZEN"})
    assert event.request_id == "req-1"


def test_a_missing_state_has_no_digest():
    with transaction.atomic():
        event = record(before=None)
    assert event.before is None
    assert event.before_sha256 == ""


def test_an_event_is_gone_with_the_transaction_that_made_it():
    with transaction.atomic():
        record()
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()


def test_an_event_needs_a_transaction():
    with pytest.raises(RuntimeError, match="open transaction"):
        record()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE tokens_auditevent SET action = 'x'", "DELETE FROM tokens_auditevent"],
)
def test_events_are_append_only(statement):
    with transaction.atomic():
        record()
    with pytest.raises(DatabaseError, match="immutable"), connection.cursor() as cursor:
        cursor.execute(statement)
