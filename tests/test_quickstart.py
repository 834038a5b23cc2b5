"""Every line of the quick start is run, by a live server and a real worker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from PIL import Image

from accounts import services as accounts_services
from accounts.tests.receivers import Receiver, receive
from accounts.tests.webhook_steps import reach
from accounts.types import ROLE_SCOPES, Role
from inference.models import SwapJob
from inference.tests import factories, real_engine
from tests.workers import ROOT, Workers, empty_queues
from tokens import selectors

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = (ROOT / "docs" / "api" / "quickstart.md").read_text(encoding="utf-8")
PATIENCE_S = 150
# What the test says after the page: the handler is shown what really arrived.
PYTHON_END = """
import json, pathlib, time
got = pathlib.Path("got.json")
while not got.exists():
    time.sleep(0.1)
call = json.loads(got.read_text())
print("received", receive(call["headers"], call["body"].encode()))
try:
    receive(call["headers"], call["body"].encode() + b" ")
except Exception as error:
    print("refused", type(error).__name__)
"""
JAVASCRIPT_END = """
import { existsSync, readFileSync } from "node:fs";
while (!existsSync("got.json")) await new Promise((done) => setTimeout(done, 100));
const got = JSON.parse(readFileSync("got.json", "utf8"));
console.log("received", receive(got.headers, got.body));
try {
  receive(got.headers, got.body + " ");
} catch (error) {
  console.log("refused", error.message);
}
"""


def page(language: str) -> str:
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))


@pytest.fixture
def receiver(settings, tmp_path: Path) -> Iterator[Receiver]:
    with receive(tmp_path) as found:
        reach(settings, found)
        yield found


@pytest.fixture
def worker(settings, live_server, receiver: Receiver, tmp_path: Path) -> Iterator[Workers]:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.PUBLIC_URL = live_server.url
    settings.MODELS_DIR = real_engine.build_models(tmp_path / "models")
    empty_queues()
    workers = Workers(
        tmp_path,
        queues="swaps,default,webhooks",
        DJANGO_SETTINGS_MODULE="accounts.tests.webhook_settings",
        RECEIVER_PORT=str(urlsplit(receiver.url).port),
        RECEIVER_CA_FILE=receiver.ca_file,
    )
    workers.start(with_beat=False)
    try:
        yield workers
    finally:
        workers.end()
        cache.clear()


class Reader:
    """Somebody who follows the page in an empty folder, beside the samples."""

    def __init__(self, *, url: str, receiver: Receiver, folder: Path) -> None:
        folder.mkdir()
        (folder / "samples").symlink_to(ROOT / "samples")
        self.folder = folder
        self.user = factories.make_user(tokens=5)
        for name in ("alice", "bob"):
            accounts_services.register_user(username=name, password=None, user_ref=name)
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
            "API": f"{url}/api/v1",
            "KEY": self._key(self.user, Role.USER),
            "OPERATOR_KEY": self._key(factories.make_user(role=Role.OPERATOR), Role.OPERATOR),
            "RECEIVER": receiver.url,
        }
        self._receiver = receiver

    def run(self, *command: str, hint) -> str:
        """Run a program of the page; what it printed."""
        done = threading.Event()
        watcher = threading.Thread(target=self._pass_on, args=(done,), daemon=True)
        watcher.start()
        try:
            result = subprocess.run(
                command,
                cwd=self.folder,
                env=self._environ,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_S,
            )
        finally:
            done.set()
            watcher.join()
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}\n{hint()}"
        return result.stdout

    def _pass_on(self, done: threading.Event) -> None:
        """Give what the receiver got to the program, as a web framework would."""
        while not done.wait(0.1):
            if self._receiver.got:
                got = self._receiver.got[0]
                part = self.folder / "got.part"
                part.write_text(json.dumps({"headers": got.headers, "body": got.body.decode()}))
                part.replace(self.folder / "got.json")
                return

    @staticmethod
    def _key(user, role: Role) -> str:
        return accounts_services.issue_api_key(
            user_id=user.pk, name="quick start", scopes=ROLE_SCOPES[role]
        ).key


@pytest.fixture
def reader(live_server, receiver: Receiver, worker: Workers, tmp_path: Path) -> Reader:
    return Reader(url=live_server.url, receiver=receiver, folder=tmp_path / "reader")


def assert_done(reader: Reader) -> None:
    with Image.open(reader.folder / "result.jpg") as picture:
        assert picture.format == "JPEG"
    job = SwapJob.objects.get(owner_id=reader.user.pk)
    assert (job.status, job.idempotency_key) == (SwapJob.Status.SUCCEEDED, "order-4711")
    assert selectors.balance(user_id=reader.user.pk).available == 4
    for name in ("alice", "bob"):
        user = type(reader.user).objects.get(user_ref=name)
        assert selectors.balance(user_id=user.pk).available == 100


@pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("jq") is None, reason="needs curl and jq"
)
def test_the_page_in_curl(reader: Reader, worker: Workers, receiver: Receiver):
    reader.run("bash", "-c", page("bash"), hint=worker.logs)
    assert_done(reader)
    recharge = json.loads((reader.folder / "recharge.json").read_text())
    assert recharge["failed_users"] == ["nobody"]
    assert (reader.folder / "secret.txt").read_text().startswith("whsec_")
    assert [json.loads(got.body)["type"] for got in receiver.got] == ["webhook.test"]


def test_the_page_in_python(reader: Reader, worker: Workers):
    told = reader.run(sys.executable, "-c", page("python") + PYTHON_END, hint=worker.logs)
    assert_done(reader)
    assert "3 nobody account_not_found" in told
    assert told.endswith("received webhook.test\nrefused WebhookRefusedError\n")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node 20")
def test_the_page_in_javascript(reader: Reader, worker: Workers):
    script = reader.folder / "page.mjs"
    script.write_text(page("javascript") + JAVASCRIPT_END, encoding="utf-8")
    told = reader.run("node", str(script), hint=worker.logs)
    assert_done(reader)
    assert "partially_applied 200 [ 'nobody' ]" in told
    assert told.endswith("received webhook.test\nrefused not signed by the secret\n")
