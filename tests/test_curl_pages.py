"""The shell lines of the pages on sandboxes and keys, run against a live server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework_simplejwt.tokens import RefreshToken

from accounts.models import ApiKey
from inference.models import SwapJob
from inference.tests import factories
from tests.workers import ROOT, Workers, empty_queues, wait_until
from tokens import selectors

NEEDED = ("bash", "curl", "jq", "openssl")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {', '.join(NEEDED)}"),
]


def run(page: str, folder: Path, **environ: str) -> list[Any]:
    """Run all shell blocks of a page as one script; each JSON document it prints."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    script = "\n".join(re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    answers, rest = [], done.stdout.strip()
    while rest:
        answer, end = json.JSONDecoder().raw_decode(rest)
        answers.append(answer)
        rest = rest[end:].lstrip()
    return answers


@pytest.fixture
def user():
    yield factories.make_user(tokens=5)
    cache.clear()


@pytest.fixture
def environ(settings, live_server, user, tmp_path: Path) -> dict[str, str]:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.PUBLIC_URL = live_server.url
    access = RefreshToken.for_user(user).access_token
    return {"API": f"{live_server.url}/api/v1", "ACCESS": str(access)}


def test_the_page_on_sandboxes(environ, user, tmp_path: Path):
    empty_queues()
    worker = Workers(tmp_path)
    worker.start(with_beat=False)
    try:
        refilled, _job = run("sandbox.md", tmp_path, **environ)
        # A worker that starts on a busy machine may come after the page has stopped waiting.
        wait_until(has_ended, timeout_s=60, pause_s=0.2, hint=worker.logs)
    finally:
        worker.end()
        empty_queues()

    assert refilled == {"available": 1000, "held": 0, "total": 1000}
    job = SwapJob.objects.get()
    assert (job.status, job.error_code) == ("FAILED", "no_face_in_target"), worker.logs()
    assert job.hold_id is not None
    receipt = selectors.hold_receipt(hold_id=job.hold_id)
    assert (receipt.settled, receipt.refunded) == (0, 1)
    assert selectors.balance(user_id=user.pk).available == 5


def has_ended() -> bool:
    return SwapJob.objects.filter(finished_at__isnull=False).exists()


def test_the_page_on_keys(environ, user, tmp_path: Path):
    quote = factories.make_quote(owner_id=user.pk)

    job, rotated = run("keys.md", tmp_path, QUOTE=str(quote.pk), **environ)

    assert job == {"id": str(SwapJob.objects.get(quote=quote).pk), "state": "queued"}
    old, new = ApiKey.objects.filter(user=user).order_by("created_at")
    assert (str(new.pk), str(old.replaced_by_id)) == (rotated["id"], rotated["id"])
    assert (old.daily_token_budget, old.requires_signature) == (500, True)
