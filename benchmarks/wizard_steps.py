"""The steps of the benchmark of the recharge wizard, once Django is set up."""

from __future__ import annotations

import io
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django_otp.oath import totp

from accounts import second_factor
from accounts import services as accounts_services
from accounts.models import Authenticator
from accounts.types import Role
from benchmarks.ledger import people
from tokens import batch_handlers, draft_handlers
from tokens.models import RechargeBatch, RechargeDraft

ROUNDS: Final = 5
T = TypeVar("T")


def measure(*, rows_count: int) -> dict[str, float]:
    """Seconds of each step; pages are medians of some rounds."""
    settings.CONSOLE_SECOND_FACTOR = False
    call_command("migrate", verbosity=0)
    people.add_accounts(first=1, last=rows_count)
    maker = accounts_services.register_user(
        username="maker", password=uuid.uuid4().hex, role=Role.OPERATOR
    )
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(maker)
    seconds: dict[str, float] = {}

    def took(name: str, step: Callable[[], T]) -> T:
        began = time.perf_counter()
        done = step()
        seconds[name] = time.perf_counter() - began
        return done

    def page(name: str, address: str) -> None:
        rounds = []
        for _round in range(ROUNDS):
            began = time.perf_counter()
            _require(client.get(address), status=200)
            rounds.append(time.perf_counter() - began)
        seconds[f"{name}_page"] = statistics.median(rounds)

    upload = {
        "file": SimpleUploadedFile("june.csv", _table(rows_count)),
        "mode": "soft_fail",
        "category": "paid",
        "funding": "payment",
        "reason": "June",
    }
    new = reverse("admin:tokens_rechargedraft_new")
    _require(took("upload", lambda: client.post(new, upload)), status=302)
    draft = RechargeDraft.objects.get()
    took("check", lambda: draft_handlers.check_draft(draft_id=draft.pk))
    draft.refresh_from_db()
    shown = reverse("admin:tokens_rechargedraft_change", args=[draft.pk])
    rows = reverse("admin:tokens_rechargedraft_rows", args=[draft.pk])
    page("preview", shown)
    page("first_rows", rows)
    page("last_rows", f"{rows}?page=100000")
    code = _code(maker.pk)
    sent = {"batch_sha256": draft.batch_sha256, "code": code}
    _require(took("submit", lambda: client.post(shown, sent)), status=302)
    batch = RechargeBatch.objects.get()
    took("apply", lambda: batch_handlers.apply_recharge_batch(batch_id=batch.pk))
    batch.refresh_from_db()
    assert batch.applied_count == rows_count, f"{batch.status}: {batch.applied_count}"
    page("result", reverse("admin:tokens_rechargebatch_change", args=[batch.pk]))
    page("result_rows", reverse("admin:tokens_rechargebatch_rows", args=[batch.pk]))
    return seconds


def _table(rows_count: int) -> bytes:
    lines = io.StringIO()
    lines.write("user,amount,note\n")
    for number, reference in enumerate(people.references(limit=rows_count), start=1):
        lines.write(f"{reference},10,row {number}\n")
    return lines.getvalue().encode()


def _code(user_id: int) -> str:
    """One of the recovery codes of a second factor that is set up for it."""
    second_factor.start_enrolment(user_id=user_id)
    device = Authenticator.objects.get(user_id=user_id)
    code = f"{totp(device.bin_key):06d}"
    return second_factor.confirm_enrolment(user_id=user_id, code=code)[0]


def _require(response: Answer, *, status: int) -> None:
    assert response.status_code == status, response.content[:2_000]


class Answer(Protocol):
    """What the test client answers with."""

    status_code: int

    @property
    def content(self) -> bytes:
        """The body."""
