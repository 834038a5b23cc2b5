"""Answers that wait for jobs, over a real server: Prefer: wait and server-sent events."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import connection, connections

from accounts import services as accounts_services
from inference import endings, tasks, transitions, watching
from inference.api.waiting import preferred_s
from inference.models import SwapJob
from inference.tests import factories
from inference.tests.test_transitions import OUTPUT

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/jobs"
RESULT = dataclasses.replace(OUTPUT, faces=())


@pytest.fixture
def user(db):
    return factories.make_user(tokens=50)


@pytest.fixture
def http(live_server, user, monkeypatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr(tasks.run_swap_job, "apply_async", lambda **_: None)
    key = accounts_services.issue_api_key(
        user_id=user.pk, name="test", scopes=("jobs:read", "jobs:write")
    ).key
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=live_server.url, headers=headers, timeout=60) as client:
        yield client
    wait_until(lambda: watching.watch._thread is None)


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def later(seconds: float, work) -> threading.Thread:
    """Do ``work`` in another thread, a moment from now."""

    def run() -> None:
        time.sleep(seconds)
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def submit(http: httpx.Client, user, **headers: str) -> httpx.Response:
    quote = factories.make_quote(owner_id=user.pk)
    return http.post(
        URL, json={"quote_id": str(quote.pk)}, headers={"Idempotency-Key": "k", **headers}
    )


def events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream as the standard says they are to be read."""
    event: dict[str, Any] = {}
    for line in response.iter_lines():
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value


def finish_newest() -> None:
    job = SwapJob.objects.latest("created_at")
    assert transitions.finish(claim=factories.take(job), output=RESULT)


def test_wait_answers_when_the_job_has_ended(http, user):
    thread = later(1.0, finish_newest)
    started = time.monotonic()

    answer = submit(http, user, Prefer="respond-async, wait=20")

    took_s = time.monotonic() - started
    thread.join()
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded"), answer.text
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.json()["receipt"]["settled"] == 1
    assert 0.9 < took_s < 5


def test_wait_answers_when_the_time_is_over(http, user):
    started = time.monotonic()

    answer = submit(http, user, Prefer="wait=2")

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["Preference-Applied"] == "wait=2"
    assert 1.9 < time.monotonic() - started < 5
    polled = http.get(f"{URL}/{answer.json()['id']}", headers={"Prefer": "wait=1"})
    assert (polled.status_code, polled.headers["Preference-Applied"]) == (200, "wait=1")
    assert polled.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=5", 5),
        ('WAIT = "7"', 7),
        ("wait=600", 60),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=soon", 0),
        ("await=5", 0),
        ("", 0),
    ],
)
def test_preference_is_read_or_ignored(header, seconds, rf):
    assert preferred_s(rf.get("/", headers={"prefer": header})) == seconds


def test_waiting_holds_no_connection(http, user):
    def sessions() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid()"
            )
            (count,) = cursor.fetchone()
        return int(count)

    before = sessions()
    job = factories.make_job(owner_id=user.pk)
    waiters = [
        later(0.0, lambda: http.get(f"{URL}/{job.pk}", headers={"Prefer": "wait=8"}))
        for _ in range(6)
    ]
    wait_until(lambda: watching.watch._jobs.total() == 6)
    time.sleep(0.3)
    # Of the process's own thread there is one while it reads.
    assert min(sessions() for _ in range(10)) <= before + 1
    endings.cancel(job_id=job.pk)
    for waiter in waiters:
        waiter.join(timeout=20)
    connections.close_all()


def test_events_tell_every_state_and_end_with_the_job(http, user):
    job = factories.make_job(owner_id=user.pk)

    def work() -> None:
        claim = factories.take(job)
        assert transitions.renew(claim=claim, stage="swap", percent=50, is_hold_due=False)
        time.sleep(1.5)
        assert transitions.finish(claim=claim, output=RESULT)

    with http.stream("GET", f"{URL}/{job.pk}/events") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        thread = later(1.5, work)
        told = list(events(stream))
    thread.join()

    assert [event["event"] for event in told][-1] == "end"
    assert {event["event"] for event in told[:-1]} == {"state"}
    states = [event["data"]["state"] for event in told]
    assert list(dict.fromkeys(states)) == ["queued", "running", "succeeded"]
    assert told[0]["data"]["progress"]["queue_position"] == 1
    running = [event["data"]["progress"] for event in told if event["data"]["state"] == "running"]
    assert ("swap", 50) in {(progress["stage"], progress["percent"]) for progress in running}
    assert len({event["id"] for event in told}) == len(told)


def test_who_comes_back_is_told_what_is_new_and_then_nothing(http, user):
    job = factories.make_job(owner_id=user.pk)
    path = f"{URL}/{job.pk}/events"
    with http.stream("GET", path) as stream:
        first = next(events(stream))

    thread = later(1.0, lambda: endings.cancel(job_id=job.pk))
    with http.stream("GET", path, headers={"Last-Event-ID": first["id"]}) as stream:
        (last,) = events(stream)
    thread.join()

    assert (last["event"], last["data"]["state"]) == ("end", "canceled")
    again = http.get(path)
    assert next(events(again))["id"] == last["id"]
    assert http.get(path, headers={"Last-Event-ID": last["id"]}).status_code == 204


def test_silence_is_broken_and_streams_end(http, user, settings, monkeypatch):
    settings.JOB_EVENTS_MAX_S = 3
    monkeypatch.setattr("inference.api.event_stream.HEARTBEAT_S", 1.0)
    job = factories.make_job(owner_id=user.pk)

    with http.stream("GET", f"{URL}/{job.pk}/events") as stream:
        lines = list(stream.iter_lines())

    assert lines[0] == "retry: 2000"
    assert ": still here" in lines
    assert "event: end" not in lines


def test_listeners_are_counted_and_refused_with_a_time(http, user, settings):
    settings.JOB_LISTENERS_PER_ACCOUNT = 2
    job = factories.make_job(owner_id=user.pk)
    path = f"{URL}/{job.pk}/events"

    with http.stream("GET", path) as one, http.stream("GET", path) as two:
        assert next(events(one))["id"] == next(events(two))["id"]
        refused = http.get(path)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_listeners")
        assert refused.headers["Retry-After"] == "5"
        waited = submit(http, user, Prefer="wait=30")
        assert waited.status_code == 202
        assert "Preference-Applied" not in waited.headers
    endings.cancel(job_id=job.pk)
    # Places come back as soon as the server sees that the client has gone.
    wait_until(lambda: not watching.watch._jobs)
    assert http.get(path).status_code == 200


def test_hundred_listeners_wait_on_one_process(http, user, settings):
    settings.JOB_LISTENERS_PER_ACCOUNT = 100
    job = factories.make_job(owner_id=user.pk)
    ended: list[str] = []
    limits = httpx.Limits(max_connections=100)

    def listen(client: httpx.Client) -> None:
        with client.stream("GET", f"{URL}/{job.pk}/events") as stream:
            ended.extend(event["data"]["state"] for event in events(stream))

    with httpx.Client(
        base_url=http.base_url, headers=http.headers, timeout=60, limits=limits
    ) as client:
        threads = [threading.Thread(target=listen, args=(client,)) for _ in range(100)]
        for thread in threads:
            thread.start()
        wait_until(lambda: watching.watch._jobs.total() == 100)
        assert http.get(f"{URL}/{job.pk}").status_code == 200, "others are served meanwhile"
        endings.cancel(job_id=job.pk)
        for thread in threads:
            thread.join(timeout=30)

    assert ended.count("canceled") == 100
    wait_until(lambda: not watching.watch._jobs)


def test_somebody_elses_job_cannot_be_followed(http):
    job = factories.make_job(owner_id=factories.make_user(tokens=1).pk)

    answer = http.get(f"{URL}/{job.pk}/events")

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
