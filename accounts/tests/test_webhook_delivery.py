"""Delivery of webhooks to real servers: signatures, schedule, refusals, crashes."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from email.utils import format_datetime
from pathlib import Path

import pytest
import standardwebhooks
from django.core import mail
from django.db import connection
from django.utils import timezone

from accounts import handlers, services, webhook_deliveries, webhook_sender
from accounts.models import WebhookAttempt, WebhookDelivery, WebhookEvent
from accounts.tests.receivers import receive
from accounts.tests.webhook_steps import (
    FROZEN,
    attempts,
    deliver,
    endpoint_of,
    listen,
    make_due,
    make_user,
    only_delivery,
    reach,
    tell,
    verified,
)
from accounts.webhook_types import EndpointChange, WebhookEventType
from tests.workers import Workers, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
BROKEN: tuple[int, dict[str, str], bytes] = (500, {}, b"no")


@pytest.fixture
def receiver(settings, tmp_path):
    with receive(tmp_path) as receiver:
        reach(settings, receiver)
        yield receiver


def wait_s() -> float:
    """Seconds until the next try, by the database's clock."""
    return (only_delivery().next_attempt_at - timezone.now()).total_seconds()


def test_an_event_arrives_signed_and_thin(receiver):
    user = make_user()
    issued = listen(user, receiver)
    tell(user, user_ref="listener", state="frozen")

    deliver()

    (got,) = receiver.got
    row = only_delivery()
    assert verified(got, issued.secret) == {
        "id": str(row.event_id),
        "type": "wallet.frozen",
        "api_version": "1",
        "timestamp": row.event.created_at.isoformat().replace("+00:00", "Z"),
        "data": {"user_ref": "listener", "state": "frozen"},
    }
    assert got.headers["webhook-id"] == str(row.event_id)
    assert got.headers["content-type"] == "application/json"
    assert (row.status, row.attempts_count) == ("DELIVERED", 1)
    (attempt,) = attempts()
    assert (attempt.status_code, attempt.error, attempt.excerpt) == (200, "", "ok")
    assert attempt.latency_ms is not None
    assert endpoint_of(issued).last_success_at is not None


def test_a_changed_body_and_an_old_message_do_not_verify(receiver):
    user = make_user()
    issued = listen(user, receiver)
    tell(user)
    deliver()
    (got,) = receiver.got
    verifier = standardwebhooks.Webhook(issued.secret)

    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verifier.verify(got.body.replace(b"frozen", b"thawed"), got.headers)
    stale = got.headers | {"webhook-timestamp": str(int(time.time()) - 600)}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verifier.verify(got.body, stale)


def test_a_worker_whose_clock_is_wrong_signs_the_right_time(receiver, settings):
    user = make_user()
    issued = listen(user, receiver)
    tell(user)
    # Its process believes that it is two hours earlier.
    code = (
        "import time; real = time.time; time.time = lambda: real() - 7200\n"
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        f"settings.OUTBOUND_PORTS = {settings.OUTBOUND_PORTS!r}\n"
        "settings.OUTBOUND_EXEMPT_NETWORKS = ('127.0.0.0/8', '::1/128')\n"
        f"settings.OUTBOUND_CA_FILE = {receiver.ca_file!r}\n"
        "from accounts import handlers\n"
        "handlers.deliver_webhooks(threads_max=1)\n"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True, timeout=60)

    (got,) = receiver.got
    verified(got, issued.secret)
    assert only_delivery().status == "DELIVERED"


def test_a_failure_is_tried_again_on_the_schedule_with_the_same_id(receiver, settings):
    user = make_user()
    issued = listen(user, receiver)
    receiver.answers.replies = [BROKEN, (302, {"Location": "/elsewhere"}, b""), (429, {}, b"")]
    tell(user)

    for expected_s in settings.WEBHOOK_RETRY_DELAYS_S[:3]:
        deliver()
        assert expected_s * 0.88 - 2 <= wait_s() <= expected_s * 1.1 + 1
        deliver()  # not due, so nothing happens
        make_due()
    deliver()

    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    assert all(got.path == "/hooks" for got in receiver.got), "a redirect was followed"
    for got in receiver.got:
        verified(got, issued.secret)
    assert [attempt.status_code for attempt in attempts()] == [500, None, 429, 200]
    assert [attempt.error for attempt in attempts()] == ["", "redirected", "", ""]
    assert only_delivery().status == "DELIVERED"


@pytest.mark.parametrize("kind", ["seconds", "date"])
def test_retry_after_is_obeyed(receiver, kind):
    later = format_datetime(timezone.now() + dt.timedelta(seconds=600), usegmt=True)
    value = "600" if kind == "seconds" else later
    receiver.answers.replies = [(503, {"Retry-After": value}, b"")]
    user = make_user()
    listen(user, receiver)
    tell(user)

    deliver()

    assert 590 <= wait_s() <= 601


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("0", 0),
        ("90", 90),
        ("9" * 5000, 86_400),
        ("999999", 86_400),
        ("-5", None),
        ("²", None),
        ("soon", None),
        ("", None),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30),
        ("Tue, 24 Nov 2020 12:00:00 GMT", 0),
        ("Tue, 99 Nov 2026 99:00:00 GMT", None),
    ],
)
def test_retry_after_of_every_kind(text, expected_s):
    now = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
    assert webhook_sender.retry_after_s({"Retry-After": text}, now=now) == expected_s


def test_a_gone_receiver_is_switched_off_and_its_owner_told(receiver):
    user = make_user(email="owner@example.com")
    issued = listen(user, receiver)
    receiver.answers.replies = [(410, {}, b"gone")]
    tell(user)
    tell(user)

    deliver()

    endpoint = endpoint_of(issued)
    assert (endpoint.status, endpoint.disabled_reason) == ("DISABLED", "GONE")
    assert len(receiver.got) == 1, "something was sent to a receiver that is gone"
    assert sorted(WebhookDelivery.objects.values_list("status", flat=True)) == ["FAILED", "PENDING"]
    (notice,) = mail.outbox
    assert notice.to == ["owner@example.com"]
    assert receiver.url in notice.body


def test_what_waits_goes_out_when_the_endpoint_is_on_again(receiver):
    user = make_user()
    issued = listen(user, receiver)
    tell(user)
    change(user, issued, is_enabled=False)
    deliver()
    assert receiver.got == []

    change(user, issued, is_enabled=True)
    deliver()

    assert len(receiver.got) == 1


def test_repeated_failure_ends_the_delivery_and_switches_the_endpoint_off(receiver, settings):
    user = make_user(email="owner@example.com")
    issued = listen(user, receiver)
    receiver.answers.usual = BROKEN
    tell(user)

    for _try in range(len(settings.WEBHOOK_RETRY_DELAYS_S) + 3):
        make_due()
        deliver()

    assert len(receiver.got) == 10
    assert only_delivery().status == "FAILED"
    assert endpoint_of(issued).disabled_reason == "FAILING"
    assert len(mail.outbox) == 1


def test_one_event_that_a_living_receiver_refuses_does_not_switch_it_off(receiver, settings):
    settings.WEBHOOK_RETRY_DELAYS_S = [1]
    user = make_user()
    issued = listen(user, receiver)
    receiver.answers.replies = [BROKEN, (200, {}, b""), BROKEN]
    tell(user, first=True)
    deliver()
    tell(user, first=False)
    deliver()
    make_due()
    deliver()

    assert sorted(WebhookDelivery.objects.values_list("status", flat=True)) == [
        "DELIVERED",
        "FAILED",
    ]
    assert endpoint_of(issued).status == "ACTIVE"


def test_a_receiver_that_is_down_for_three_days_misses_nothing(receiver, settings):
    """The schedule outlasts three days, and what was given up is replayed with the same ids."""
    assert sum(settings.WEBHOOK_RETRY_DELAYS_S) > 3 * 24 * 60 * 60
    user = make_user()
    listen(user, receiver)
    receiver.answers.replies = [BROKEN] * 9
    tell(user)
    for _try in range(10):
        make_due()
        deliver()
    assert only_delivery().status == "DELIVERED"
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1


def test_a_slow_receiver_costs_the_time_limit_and_no_more(receiver, settings):
    settings.WEBHOOK_TIMEOUT_S = 1
    receiver.answers.delay_s = 4
    user = make_user()
    listen(user, receiver)
    tell(user)
    started_at = time.monotonic()

    deliver()

    assert time.monotonic() - started_at < 3
    (attempt,) = attempts()
    assert (attempt.status_code, attempt.error) == (None, "too_slow")


def test_a_long_answer_is_cut_and_counts(receiver):
    receiver.answers.usual = (200, {}, b"\x00" + b"x" * 3_000_000)
    user = make_user()
    listen(user, receiver)
    tell(user)

    deliver()

    (attempt,) = attempts()
    assert attempt.status_code == 200
    assert attempt.excerpt == "\N{REPLACEMENT CHARACTER}" + "x" * 511


def test_an_address_inside_is_never_called(receiver, settings):
    user = make_user()
    listen(user, receiver)
    tell(user)
    settings.OUTBOUND_EXEMPT_NETWORKS = ()

    deliver()

    assert receiver.got == []
    assert [attempt.error for attempt in attempts()] == ["not_public"]


def test_a_certificate_nobody_trusts_is_refused(receiver, settings):
    user = make_user()
    listen(user, receiver)
    tell(user)
    settings.OUTBOUND_CA_FILE = None

    deliver()

    assert receiver.got == []
    assert [attempt.error for attempt in attempts()] == ["untrusted_certificate"]


def test_both_secrets_sign_while_they_overlap(receiver):
    user = make_user()
    old = listen(user, receiver)
    new = services.rotate_secret(user_id=user.pk, endpoint_id=old.id, overlap_s=60)
    tell(user)
    deliver()
    (got,) = receiver.got
    verified(got, old.secret)
    verified(got, new.secret)

    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_webhookendpoint SET previous_secret_until = now() - interval '1 s'"
        )
    tell(user)
    deliver()
    verified(receiver.got[1], new.secret)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verified(receiver.got[1], old.secret)


def test_a_secret_that_no_key_opens_is_not_sent_with(receiver, settings):
    user = make_user()
    listen(user, receiver)
    tell(user)
    settings.FACTOR_SECRET_KEYS = ["another-key-" + "k" * 50]

    deliver()

    assert receiver.got == []
    assert [attempt.error for attempt in attempts()] == ["secret_unreadable"]
    assert only_delivery().status == "PENDING"


def test_a_busy_endpoint_does_not_hold_up_another(receiver, settings, tmp_path):
    settings.WEBHOOK_ENDPOINT_CALLS_MAX = 2
    user, other = make_user("busy"), make_user("other")
    listen(user, receiver)
    with receive(tmp_path, is_tls=False) as plain:
        settings.OUTBOUND_HTTP_ALLOWED = True
        settings.OUTBOUND_PORTS = (*settings.OUTBOUND_PORTS, int(plain.url.split(":")[2][:-6]))
        listen(other, plain)
        for _event in range(8):
            tell(user)
        tell(other)
        receiver.answers.delay_s = 0.5
        started_at = time.monotonic()

        handlers.deliver_webhooks(threads_max=4)

        assert plain.got[0].arrived_at - started_at < 1.0
    assert len(receiver.got) == 8
    assert receiver.at_once_max == 2


def test_two_runs_at_once_send_each_event_once(receiver):
    user = make_user()
    listen(user, receiver)
    for _event in range(30):
        tell(user)

    handlers.deliver_webhooks(threads_max=8)

    assert len({got.headers["webhook-id"] for got in receiver.got}) == 30
    assert len(receiver.got) == 30
    assert receiver.at_once_max <= 8


def test_an_answer_that_comes_after_the_lease_changes_nothing(receiver, settings):
    settings.WEBHOOK_LEASE_S = 0
    user = make_user()
    listen(user, receiver)
    tell(user)
    first = webhook_deliveries.claim()
    second = webhook_deliveries.claim()
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (1, 2)

    reply = webhook_sender.send(first)
    webhook_deliveries.record(outgoing=first, reply=reply)

    row = only_delivery()
    assert (row.status, row.attempts_count) == ("PENDING", 2)
    assert [attempt.status_code for attempt in attempts()] == [200, None]


def test_a_message_whose_last_worker_died_comes_to_an_end(receiver, settings):
    settings.WEBHOOK_RETRY_DELAYS_S = []
    settings.WEBHOOK_LEASE_S = 0
    user = make_user()
    issued = listen(user, receiver)
    tell(user)
    assert webhook_deliveries.claim() is not None

    deliver()

    assert receiver.got == []
    assert only_delivery().status == "FAILED"
    assert [attempt.error for attempt in attempts()] == ["worker_lost"]
    assert endpoint_of(issued).disabled_reason == "FAILING"


def test_a_killed_worker_s_delivery_is_taken_over(receiver, tmp_path, settings):
    user = make_user()
    issued = listen(user, receiver)
    receiver.answers.delay_s = 4.0
    workers = Workers(
        tmp_path,
        queues="webhooks",
        DJANGO_SETTINGS_MODULE="accounts.tests.webhook_settings",
        WEBHOOK_LEASE_S="2",
        RECEIVER_PORT=receiver.url.split(":")[2].split("/")[0],
        RECEIVER_CA_FILE=receiver.ca_file,
    )
    try:
        first = workers.start(with_beat=True)
        tell(user)
        wait_until(lambda: receiver.got != [], timeout_s=60, pause_s=0.05, hint=workers.logs)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(timeout=30)
        receiver.answers.delay_s = 0.0
        workers.start(with_beat=True)
        wait_until(
            lambda: only_delivery().status == "DELIVERED",
            timeout_s=60,
            pause_s=0.1,
            hint=workers.logs,
        )
    finally:
        workers.end()

    assert len(receiver.got) == 2
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert verified(receiver.got[1], issued.secret)["type"] == FROZEN
    assert [attempt.status_code for attempt in attempts()] == [None, 200]


def test_old_events_are_thrown_away_with_their_tries(receiver, settings):
    user = make_user()
    listen(user, receiver)
    tell(user)
    deliver()
    WebhookEvent.objects.update(created_at=timezone.now() - dt.timedelta(days=31))
    tell(user, event_type=WebhookEventType.WALLET_UNFROZEN)

    assert handlers.purge_webhooks() == 1

    assert list(WebhookEvent.objects.values_list("type", flat=True)) == ["wallet.unfrozen"]
    assert WebhookAttempt.objects.count() == 0
    assert handlers.purge_webhooks() == 0


def test_a_body_stays_small(receiver):
    user = make_user()
    listen(user, receiver)
    tell(user, name="人" * 50)
    deliver()
    assert len(receiver.got[0].body) < 20_000
    assert json.loads(receiver.got[0].body)["data"]["name"] == "人" * 50


def change(user, issued, **wanted) -> None:
    services.change_endpoint(
        user_id=user.pk, endpoint_id=issued.id, change=EndpointChange(**wanted)
    )


def environment() -> dict[str, str]:
    name = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{name}"
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "facefusion_site.settings.test",
        "DATABASE_URL": url,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
