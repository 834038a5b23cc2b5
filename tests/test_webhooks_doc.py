"""The examples of docs/webhooks.md verify what is really sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from accounts import services
from accounts.tests.receivers import Got, receive
from accounts.tests.webhook_steps import deliver, listen, make_user, reach, tell
from accounts.webhook_types import WebhookEventType

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = (Path(__file__).resolve().parents[1] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def example(language: str) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(code)


@pytest.fixture
def sent(settings, tmp_path) -> tuple[Got, str, str]:
    """One delivery, signed with the secrets before and after a rotation."""
    with receive(tmp_path) as receiver:
        reach(settings, receiver)
        user = make_user()
        old = listen(user, receiver)
        new = services.rotate_secret(user_id=user.pk, endpoint_id=old.id, overlap_s=60)
        tell(user, word="名字 ✓")
        deliver()
        (got,) = receiver.got
        return got, old.secret, new.secret


def test_the_python_example_verifies(sent):
    got, *secrets = sent
    scope: dict[str, Any] = {}
    exec(compile(example("python"), "docs/webhooks.md", "exec"), scope)  # noqa: S102  # our page
    for secret in secrets:
        assert scope["receive"](secret, got.headers, got.body) == json.loads(got.body)
    for secret, body in ((secrets[0], got.body + b" "), ("whsec_" + "A" * 44, got.body)):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            scope["receive"](secret, got.headers, body)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_javascript_example_verifies(sent, tmp_path):
    got, *secrets = sent
    (tmp_path / "receive.mjs").write_text(example("javascript"), encoding="utf-8")
    (tmp_path / "run.mjs").write_text(
        'import { receive } from "./receive.mjs";\n'
        'import { readFileSync } from "node:fs";\n'
        'const call = JSON.parse(readFileSync(0, "utf8"));\n'
        "console.log(JSON.stringify(receive(call.secret, call.headers, call.body)));\n",
        encoding="utf-8",
    )

    def run(secret: str, headers: dict[str, str], body: bytes) -> subprocess.CompletedProcess[str]:
        call = {"secret": secret, "headers": headers, "body": body.decode()}
        return subprocess.run(
            ["node", str(tmp_path / "run.mjs")],
            input=json.dumps(call),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    for secret in secrets:
        done = run(secret, got.headers, got.body)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == json.loads(got.body)
    stale = got.headers | {"webhook-timestamp": "1"}
    unsigned = got.headers | {"webhook-signature": "v1,AAAA v2,"}
    for secret, headers, body in (
        (secrets[0], got.headers, got.body + b" "),
        ("whsec_" + "A" * 44, got.headers, got.body),
        (secrets[0], stale, got.body),
        (secrets[0], unsigned, got.body),
    ):
        assert run(secret, headers, body).returncode != 0


def test_the_page_names_every_event_and_every_try(settings):
    assert set(re.findall(r"`([a-z_]+\.[a-z]+)`", PAGE)) >= set(WebhookEventType.values)
    (schedule,) = re.findall(r"after (5 s, .*?), each up to", PAGE)
    units = {"s": 1, "min": 60, "h": 3600}
    told = [
        int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)\b", schedule)
    ]
    assert told == settings.WEBHOOK_RETRY_DELAYS_S
    assert f"within {settings.WEBHOOK_TIMEOUT_S} seconds" in PAGE


def test_the_example_of_an_event_has_the_form_of_one(sent):
    got, *_secrets = sent
    (shown,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert json.loads(shown).keys() == json.loads(got.body).keys()
