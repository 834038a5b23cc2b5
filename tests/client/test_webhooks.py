"""The client believes what was signed for it, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import facefusion_platform_client as sdk
import pytest

from accounts import services
from accounts.tests.receivers import receive
from accounts.tests.webhook_steps import deliver, listen, make_user, reach, tell

pytestmark = pytest.mark.django_db(transaction=True)
STRANGER = "whsec_" + "A" * 44


def test_webhooks_are_verified_with_any_live_secret(settings, tmp_path: Path):
    with receive(tmp_path) as receiver:
        reach(settings, receiver)
        user = make_user()
        old = listen(user, receiver)
        new = services.rotate_secret(user_id=user.pk, endpoint_id=old.id, overlap_s=60)
        tell(user, word="名字 ✓")
        deliver()
        (got,) = receiver.got
    headers = {name.title(): value for name, value in got.headers.items()}
    for secrets in (old.secret, new.secret, [STRANGER, new.secret]):
        event = sdk.verify(got.body, headers, secrets=secrets)
        assert (event.id, event.data) == (json.loads(got.body)["id"], {"word": "名字 ✓"})
        assert event.timestamp.tzinfo is not None
    late = headers | {"Webhook-Timestamp": "1"}
    for body, sent, secrets in (
        (got.body + b" ", headers, new.secret),
        (got.body, late, new.secret),
        (got.body, {}, new.secret),
        (got.body, headers, STRANGER),
        (got.body, headers, []),
    ):
        with pytest.raises(sdk.WebhookRefusedError):
            sdk.verify(body, sent, secrets=secrets)
