"""Webhooks in the console: seen by staff, sent again, switched off."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command

from accounts import services
from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.tests.receivers import receive
from accounts.tests.webhook_steps import (
    attempts,
    deliver,
    endpoint_of,
    listen,
    make_user,
    only_delivery,
    reach,
    tell,
)
from accounts.types import Role

pytestmark = pytest.mark.django_db(transaction=True)
ENDPOINTS = "/admin/accounts/webhookendpoint/"
DELIVERIES = "/admin/accounts/webhookdelivery/"


@pytest.fixture
def console(client):
    operator = services.register_user(
        username="operator", password="a-long-test-password", role=Role.OPERATOR
    )
    client.force_login(operator)
    return client


@pytest.fixture
def receiver(settings, tmp_path):
    with receive(tmp_path) as receiver:
        reach(settings, receiver)
        yield receiver


def act(console, path: str, action: str, row) -> str:
    answer = console.post(path, {"action": action, "_selected_action": [str(row.pk)]}, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_delivery_is_shown_with_its_tries_and_without_secrets(console, receiver):
    user = make_user()
    issued = listen(user, receiver)
    receiver.answers.usual = (500, {}, b"<b>broken</b>")
    tell(user, note="thin")
    deliver()
    row = only_delivery()

    assert str(row.pk) in console.get(DELIVERIES).content.decode()
    page = console.get(f"{DELIVERIES}{row.pk}/change/").content.decode()
    assert "&lt;b&gt;broken&lt;/b&gt;" in page
    assert "thin" in page
    endpoint = endpoint_of(issued)
    page = console.get(f"{ENDPOINTS}{issued.id}/change/").content.decode()
    assert receiver.url in page
    assert issued.secret not in page
    assert endpoint.secret not in page
    assert receiver.url in console.get(ENDPOINTS).content.decode()


def test_an_event_is_sent_again(console, receiver):
    user = make_user()
    listen(user, receiver)
    tell(user)
    deliver()

    assert "1 event will be sent again" in act(console, DELIVERIES, "resend", only_delivery())
    deliver()

    assert len(receiver.got) == 2
    assert [attempt.status_code for attempt in attempts()] == [200, 200]


def test_an_event_of_a_deleted_endpoint_is_not_sent_again(console, receiver):
    user = make_user()
    issued = listen(user, receiver)
    tell(user)
    services.delete_endpoint(user_id=user.pk, endpoint_id=issued.id)
    page = act(console, DELIVERIES, "resend", only_delivery())
    assert "The endpoint was deleted." in page
    assert WebhookDelivery.objects.get().status == "CANCELED"


def test_an_endpoint_is_switched_off_and_its_owner_told(console, receiver, mailoutbox):
    issued = listen(make_user(email="owner@example.com"), receiver)
    act(console, ENDPOINTS, "switch_off", endpoint_of(issued))
    act(console, ENDPOINTS, "switch_off", endpoint_of(issued))
    row = WebhookEndpoint.objects.get()
    assert (row.status, row.disabled_reason) == ("DISABLED", "OPERATOR")
    assert len(mailoutbox) == 1


def test_nobody_adds_changes_or_deletes_rows(console, receiver):
    issued = listen(make_user(), receiver)
    assert console.get(f"{ENDPOINTS}add/").status_code == 403
    assert console.post(f"{ENDPOINTS}{issued.id}/delete/").status_code == 403
    assert console.post(f"{ENDPOINTS}{issued.id}/change/", {"url": "x"}).status_code == 403


def test_the_command_brings_secrets_under_the_newest_key(receiver, settings):
    listen(make_user(), receiver)
    settings.FACTOR_SECRET_KEYS = ["fresh-" + "n" * 50, *settings.FACTOR_SECRET_KEYS]
    out = io.StringIO()
    call_command("reencrypt_webhook_secrets", json=True, stdout=out)
    assert json.loads(out.getvalue()) == {
        "total": 1,
        "changed": 1,
        "unreadable": [],
        "dry_run": False,
    }
    settings.FACTOR_SECRET_KEYS = ["other-" + "n" * 50]
    with pytest.raises(SystemExit):
        call_command("reencrypt_webhook_secrets", stdout=out, stderr=out)
