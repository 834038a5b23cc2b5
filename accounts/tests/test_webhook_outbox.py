"""Events exist exactly when their effect does, and only for those who listen."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from accounts import outbox, sealing, services, webhook_deliveries, webhook_secrets
from accounts.models import (
    ApiKey,
    BalanceAlert,
    User,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from accounts.tests.webhook_steps import FROZEN, make_user, tell
from accounts.webhook_errors import WebhookEndpointLimitError
from accounts.webhook_types import EndpointChange, WebhookEventType

pytestmark = pytest.mark.django_db
URL = "https://receiver.example/hooks"


def listen(user: User, *events: str) -> WebhookEndpoint:
    issued = services.create_endpoint(user_id=user.pk, url=URL, events=events or ("*",))
    return WebhookEndpoint.objects.get(pk=issued.id)


class _RolledBackError(Exception):
    """The effect did not happen."""


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_rolled_back_was_never_there(django_capture_on_commit_callbacks):
    user = make_user()
    listen(user)

    @transaction.atomic
    def issue_and_fail() -> None:
        services.issue_api_key(user_id=user.pk, name="k", scopes=["jobs:read"])
        assert WebhookEvent.objects.count() == 1
        raise _RolledBackError

    with pytest.raises(_RolledBackError):
        issue_and_fail()
    assert (ApiKey.objects.count(), WebhookEvent.objects.count()) == (0, 0)
    services.issue_api_key(user_id=user.pk, name="k", scopes=["jobs:read"])
    assert (ApiKey.objects.count(), WebhookEvent.objects.count()) == (1, 1)
    assert WebhookDelivery.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_of_a_transaction_is_refused():
    user = make_user()
    listen(user)
    with pytest.raises(RuntimeError):
        services.enqueue_webhook(event_type=FROZEN, user_id=user.pk, data={})


def test_who_does_not_listen_is_told_nothing_and_costs_one_look(django_assert_num_queries):
    user = make_user()

    def never() -> dict[str, str]:
        pytest.fail("the content was made for nobody")

    with django_assert_num_queries(1):
        services.enqueue_webhook(event_type=FROZEN, user_id=user.pk, data=never)

    assert WebhookEvent.objects.count() == 0


def test_one_message_wakes_the_workers_for_any_number(django_capture_on_commit_callbacks):
    for number in range(5):
        listen(make_user(f"user-{number}"))
    with django_capture_on_commit_callbacks() as callbacks:
        services.enqueue_webhooks(
            event_type=FROZEN,
            rows_sql="SELECT id AS user_id, jsonb_build_object('n', 1) AS data FROM accounts_user",
            parameters={},
        )
    assert WebhookDelivery.objects.count() == 5
    assert len(callbacks) == 1


def test_any_number_of_events_is_one_statement(django_assert_num_queries):
    for number in range(20):
        listen(make_user(f"user-{number}"))
    with django_assert_num_queries(2):
        services.enqueue_webhooks(
            event_type=FROZEN,
            rows_sql="SELECT id AS user_id, '{}'::jsonb AS data FROM accounts_user",
            parameters={},
        )


def test_a_filter_keeps_deliveries_back_and_not_events():
    user = make_user()
    frozen = listen(user, "wallet.frozen", "balance.low")
    everything = listen(user)
    listen(user, "job.failed")
    tell(user)

    assert set(WebhookDelivery.objects.values_list("endpoint", flat=True)) == {
        frozen.pk,
        everything.pk,
    }
    assert WebhookEvent.objects.count() == 1


def test_an_endpoint_that_is_off_gets_no_delivery_and_the_event_is_kept():
    user = make_user()
    row = listen(user)
    services.change_endpoint(
        user_id=user.pk, endpoint_id=row.pk, change=EndpointChange(is_enabled=False)
    )
    tell(user)
    assert (WebhookEvent.objects.count(), WebhookDelivery.objects.count()) == (1, 0)


def test_a_deleted_endpoint_hears_nothing_and_keeps_no_secret():
    user = make_user()
    row = listen(user)
    tell(user)
    services.delete_endpoint(user_id=user.pk, endpoint_id=row.pk)
    tell(user)

    assert [d.status for d in WebhookDelivery.objects.all()] == ["CANCELED"]
    row.refresh_from_db()
    assert (row.status, row.secret, row.previous_secret) == ("DELETED", "", "")
    assert not outbox.has_listener(user_id=user.pk)


@pytest.mark.django_db(transaction=True)
def test_the_limit_of_endpoints_holds_when_two_come_at_once(settings):
    settings.WEBHOOK_ENDPOINTS_MAX = 3
    user = make_user()
    refused: list[Exception] = []

    def create() -> None:
        try:
            listen(user)
        except WebhookEndpointLimitError as error:
            refused.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert WebhookEndpoint.objects.count() == 3
    assert len(refused) == 5


def test_secrets_are_encrypted_for_their_endpoint_alone():
    user = make_user()
    issued = services.create_endpoint(user_id=user.pk, url=URL, events=["*"])
    row = WebhookEndpoint.objects.get(pk=issued.id)
    other = listen(user)

    assert issued.secret not in row.secret
    assert issued.secret not in repr(issued)
    assert webhook_secrets.unseal(text=row.secret, endpoint_id=row.pk) == issued.secret
    with pytest.raises(sealing.UnreadableError):
        webhook_secrets.unseal(text=row.secret, endpoint_id=other.pk)


def test_secrets_come_under_a_new_key(settings):
    user = make_user()
    old = services.create_endpoint(user_id=user.pk, url=URL, events=["*"])
    new = services.rotate_secret(user_id=user.pk, endpoint_id=old.id, overlap_s=600)
    old_keys = settings.FACTOR_SECRET_KEYS
    settings.FACTOR_SECRET_KEYS = ["fresh-" + "n" * 50, *old_keys]

    assert services.reencrypt_endpoints(is_dry_run=True).changed == 1
    assert services.reencrypt_endpoints().changed == 1
    assert services.reencrypt_endpoints().changed == 0

    settings.FACTOR_SECRET_KEYS = settings.FACTOR_SECRET_KEYS[:1]
    row = WebhookEndpoint.objects.get(pk=old.id)
    assert webhook_secrets.unseal(text=row.secret, endpoint_id=row.pk) == new.secret
    assert webhook_secrets.unseal(text=row.previous_secret, endpoint_id=row.pk) == old.secret
    settings.FACTOR_SECRET_KEYS = old_keys
    assert services.reencrypt_endpoints().unreadable == (str(row.pk),)


def test_the_second_rotation_ends_the_oldest_secret():
    user = make_user()
    first = services.create_endpoint(user_id=user.pk, url=URL, events=["*"])
    second = services.rotate_secret(user_id=user.pk, endpoint_id=first.id, overlap_s=600)
    services.rotate_secret(user_id=user.pk, endpoint_id=first.id, overlap_s=600)
    row = WebhookEndpoint.objects.get(pk=first.id)
    assert webhook_secrets.unseal(text=row.previous_secret, endpoint_id=row.pk) == second.secret
    services.rotate_secret(user_id=user.pk, endpoint_id=first.id, overlap_s=0)
    row.refresh_from_db()
    assert (row.previous_secret, row.previous_secret_until) == ("", None)


@pytest.mark.django_db(transaction=True)
def test_a_low_balance_is_told_once_until_it_recovers():
    user = make_user()
    listen(user)
    services.set_balance_alert(user_id=user.pk, below=100)

    for available in (100, 99, 50, 0, 100, 99):
        services.note_balances(balances={user.pk: available})

    told = WebhookEvent.objects.filter(type=WebhookEventType.BALANCE_LOW).order_by("created_at")
    assert [event.data for event in told] == [
        {"available": 99, "below": 100},
        {"available": 99, "below": 100},
    ]
    services.set_balance_alert(user_id=user.pk, below=None)
    services.note_balances(balances={user.pk: 0})
    assert (told.count(), BalanceAlert.objects.count()) == (2, 0)


def test_due_deliveries_are_counted_up_to_the_limit():
    user = make_user()
    listen(user)
    for _event in range(3):
        tell(user)
    assert webhook_deliveries.count_due(limit=2) == 2
    assert webhook_deliveries.count_due(limit=9) == 3
