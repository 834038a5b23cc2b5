"""What the owner of a key that came over plain HTTP is told."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts.models import WebhookEvent
from accounts.tests import webhook_steps
from accounts.tests.receivers import receive
from accounts.tests.test_key_protection import issue

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_owner_hears_of_it_once_by_a_signed_delivery(settings, tmp_path):
    settings.API_HTTPS_ONLY = True
    user = webhook_steps.make_user()
    issued = issue(user)
    with receive(tmp_path) as receiver:
        webhook_steps.reach(settings, receiver)
        endpoint = webhook_steps.listen(user, receiver, events=("api_key.exposed",))
        for _time in range(2):
            answer = APIClient().get(
                "/api/v1/me", headers={"authorization": f"Bearer {issued.key}"}
            )
            assert answer.json()["code"] == "https_required"
        webhook_steps.deliver()
        (got,) = receiver.got
    event = webhook_steps.verified(got, endpoint.secret)
    assert (event["type"], event["data"]) == (
        "api_key.exposed",
        {"id": str(issued.id), "name": "test", "last4": issued.key[-4:]},
    )
    assert issued.key not in got.body.decode()
    assert WebhookEvent.objects.count() == 1
