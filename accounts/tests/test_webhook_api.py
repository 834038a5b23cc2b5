"""Webhooks over HTTP: what owners see and change, and what others do not."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import WebhookDelivery, WebhookEvent
from accounts.tests.receivers import receive
from accounts.tests.webhook_steps import deliver, listen, make_user, reach, tell
from accounts.webhook_types import WebhookEventType

pytestmark = pytest.mark.django_db
ENDPOINTS = "/api/v1/webhook-endpoints"
DELIVERIES = "/api/v1/webhook-deliveries"
URL = "https://receiver.example/hooks"


def client_of(user, *scopes: str) -> APIClient:
    issued = services.issue_api_key(
        user_id=user.pk, name="test", scopes=scopes or ("webhooks:read", "webhooks:write")
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    return client


@pytest.fixture
def user():
    return make_user()


@pytest.fixture
def client(user):
    return client_of(user)


@pytest.fixture
def receiver(settings, tmp_path):
    with receive(tmp_path) as receiver:
        reach(settings, receiver)
        yield receiver


def create(client, **body) -> dict[str, Any]:
    answer = client.post(ENDPOINTS, {"url": URL} | body, format="json")
    assert answer.status_code == 201, answer.data
    created: dict[str, Any] = answer.json()
    return created


def test_the_life_of_an_endpoint(client):
    created = client.post(
        ENDPOINTS, {"url": URL, "events": ["job.failed", "job.failed"]}, format="json"
    )
    assert created.status_code == 201
    assert created["Cache-Control"] == "no-store"
    body = created.json()
    assert body["secret"].startswith("whsec_")
    assert (body["events"], body["status"], body["disabled_reason"]) == (
        ["job.failed"],
        "active",
        "",
    )
    shown = client.get(created["Location"]).json()
    assert shown == {name: value for name, value in body.items() if name != "secret"}
    assert client.get(ENDPOINTS).json() == {"items": [shown]}

    changed = client.patch(
        created["Location"],
        {"url": URL + "/2", "events": ["*"], "description": " main ", "is_enabled": False},
        format="json",
    ).json()
    assert (changed["url"], changed["events"], changed["description"]) == (
        URL + "/2",
        ["*"],
        "main",
    )
    assert (changed["status"], changed["disabled_reason"]) == ("disabled", "owner")
    assert changed["disabled_at"] is not None
    again = client.patch(created["Location"], {"is_enabled": True}, format="json").json()
    assert (again["status"], again["disabled_at"]) == ("active", None)

    assert client.delete(created["Location"]).status_code == 204
    assert client.get(created["Location"]).json()["code"] == "webhook_endpoint_not_found"
    assert client.get(ENDPOINTS).json() == {"items": []}


def test_the_secret_is_rotated_and_shown_once(client):
    endpoint = create(client)
    path = f"{ENDPOINTS}/{endpoint['id']}/rotate-secret"
    rotated = client.post(path, {"overlap_s": 60}, format="json")
    assert rotated["Cache-Control"] == "no-store"
    assert rotated.json()["secret"] not in {endpoint["secret"], None}
    assert rotated.json()["previous_secret_until"] is not None
    assert (
        client.post(path, {"overlap_s": 0}, format="json").json()["previous_secret_until"] is None
    )
    assert client.post(path, {}, format="json").json()["previous_secret_until"] is not None
    assert client.post(path, {"overlap_s": -1}, format="json").status_code == 400


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/",
        "ftp://receiver.example/",
        "https://user:pw@receiver.example/",
        "https://receiver.example:22/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "https://2130706433/",
        "https://receiver.example/a b",
        "https://",
        "receiver.example",
        "",
    ],
)
def test_addresses_that_are_never_called_are_refused(client, url):
    answer = client.post(ENDPOINTS, {"url": url}, format="json")
    assert answer.status_code == 400
    assert answer.json()["code"] in {"webhook_url_refused", "invalid_request"}
    assert WebhookEvent.objects.count() == 0


def test_unknown_events_and_too_many_endpoints_are_refused(client, settings):
    settings.WEBHOOK_ENDPOINTS_MAX = 1
    answer = client.post(ENDPOINTS, {"url": URL, "events": ["job.done"]}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_event_unknown")
    assert client.post(ENDPOINTS, {"url": URL, "events": []}, format="json").status_code == 400
    create(client)
    answer = client.post(ENDPOINTS, {"url": URL}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_endpoint_limit")


def test_a_key_needs_the_scopes(user):
    reader = client_of(user, "webhooks:read")
    assert reader.get(ENDPOINTS).status_code == 200
    answer = reader.post(ENDPOINTS, {"url": URL}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    other = client_of(user, "jobs:read")
    for path in (ENDPOINTS, DELIVERIES, "/api/v1/events", "/api/v1/balance-alert"):
        assert other.get(path).status_code == 403
        assert APIClient().get(path).status_code == 401


def test_somebody_else_finds_nothing(client, user):
    endpoint = create(client)
    tell(user)
    delivery = WebhookDelivery.objects.get()
    stranger = client_of(make_user("stranger"))
    one = f"{ENDPOINTS}/{endpoint['id']}"
    now = timezone.now().isoformat()
    for answer in (
        stranger.get(one),
        stranger.patch(one, {"description": "mine"}, format="json"),
        stranger.delete(one),
        stranger.post(f"{one}/rotate-secret", {}, format="json"),
        stranger.post(f"{one}/test"),
        stranger.post(f"{one}/replay", {"from": "2020-01-01T00:00:00Z", "to": now}, format="json"),
        stranger.get(f"{DELIVERIES}/{delivery.pk}"),
        stranger.post(f"{DELIVERIES}/{delivery.pk}/replay"),
        stranger.get(f"{DELIVERIES}?webhook_endpoint_id={endpoint['id']}"),
        stranger.get(f"/api/v1/events/{delivery.event_id}"),
    ):
        assert answer.status_code == 404, answer.request["PATH_INFO"]
    assert stranger.get("/api/v1/events").json()["items"] == []
    assert stranger.get(DELIVERIES).json()["items"] == []
    assert client.get(one).json()["description"] == ""


@pytest.mark.django_db(transaction=True)
def test_a_test_event_reaches_one_endpoint_whatever_its_filter(client, user, receiver):
    issued = listen(user, receiver, events=["job.failed"])
    listen(user, receiver, path="/other")
    answer = client.post(f"{ENDPOINTS}/{issued.id}/test")
    assert answer.status_code == 202
    assert answer.json()["status"] == "pending"

    deliver()

    (got,) = receiver.got
    assert got.path == "/hooks"
    shown = client.get(answer["Location"]).json()
    assert (shown["status"], shown["event_type"]) == ("delivered", "webhook.test")
    assert shown["last_status_code"] == 200
    assert shown["next_attempt_at"] is None
    (attempt,) = shown["attempts"]
    assert (attempt["number"], attempt["status_code"], attempt["excerpt"]) == (1, 200, "ok")


@pytest.mark.django_db(transaction=True)
def test_a_delivery_is_replayed_with_the_same_id(client, user, receiver):
    listen(user, receiver)
    tell(user)
    deliver()
    (row,) = client.get(DELIVERIES).json()["items"]
    answer = client.post(f"{DELIVERIES}/{row['id']}/replay")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    deliver()

    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == row["event_id"]
    assert first.body == second.body
    shown = client.get(f"{DELIVERIES}/{row['id']}").json()
    assert (shown["status"], shown["attempts_count"], len(shown["attempts"])) == ("delivered", 2, 2)


@pytest.mark.django_db(transaction=True)
def test_a_range_is_replayed_as_far_as_the_filter_goes(client, user, receiver):
    early = listen(user, receiver, events=["balance.low"])
    for number in range(4):
        tell(user, number=number)
    tell(user, event_type=WebhookEventType.BALANCE_LOW)
    moments = list(WebhookEvent.objects.order_by("created_at").values_list("created_at", flat=True))
    late = listen(user, receiver, events=["wallet.frozen"], path="/late")
    deliver()
    receiver.got.clear()

    def replay(issued, **body) -> object:
        answer = client.post(f"{ENDPOINTS}/{issued.id}/replay", body, format="json")
        deliver()
        return answer.json()

    whole = {"from": moments[0].isoformat(), "to": timezone.now().isoformat()}
    # Events that came before the endpoint was there; the last of them lies behind the range.
    part = {"from": moments[1].isoformat(), "to": moments[3].isoformat()}
    assert replay(late, **part) == {"events_count": 2}
    assert [got.path for got in receiver.got] == ["/hooks/late"] * 2
    assert replay(late, **part) == {"events_count": 0}
    assert replay(late, **part, only_undelivered=False) == {"events_count": 2}
    assert replay(late, **whole) == {"events_count": 2}
    assert replay(early, **whole) == {"events_count": 0}
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 4


def test_a_range_that_cannot_be_replayed_is_refused(client, user, settings):
    endpoint = create(client)
    tell(user)
    tell(user)
    path = f"{ENDPOINTS}/{endpoint['id']}/replay"
    begin, end = "2020-01-01T00:00:00Z", (timezone.now() + dt.timedelta(1)).isoformat()
    backwards = client.post(path, {"from": end, "to": begin}, format="json")
    assert (backwards.status_code, backwards.json()["code"]) == (400, "webhook_range_invalid")
    settings.WEBHOOK_REPLAY_MAX = 1
    large = client.post(path, {"from": begin, "to": end}, format="json")
    assert large.json()["code"] == "webhook_range_invalid"
    client.patch(f"{ENDPOINTS}/{endpoint['id']}", {"is_enabled": False}, format="json")
    off = client.post(path, {"from": begin, "to": end}, format="json")
    assert (off.status_code, off.json()["code"]) == (409, "webhook_endpoint_disabled")
    delivery = WebhookDelivery.objects.earliest("created_at")
    assert client.post(f"{DELIVERIES}/{delivery.pk}/replay").status_code == 409
    client.delete(f"{ENDPOINTS}/{endpoint['id']}")
    assert client.post(f"{DELIVERIES}/{delivery.pk}/replay").status_code == 409
    assert client.post(f"{DELIVERIES}/{uuid.uuid4()}/replay").status_code == 404


def test_lists_are_paged_and_filtered(client, user):
    create(client)
    for number in range(5):
        tell(user, number=number)
    tell(user, event_type=WebhookEventType.BALANCE_LOW)

    for path, names in (("/api/v1/events", "id"), (DELIVERIES, "event_id")):
        seen: list[str] = []
        cursor = None
        while True:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = client.get(path, query).json()
            seen += [row[names] for row in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        expected = WebhookEvent.objects.order_by("-created_at", "-pk")
        assert seen == [str(row.pk) for row in expected]
        assert client.get(path, {"cursor": "nonsense"}).json()["code"] == "invalid_cursor"
    low = client.get("/api/v1/events", {"type": "balance.low"}).json()["items"]
    assert [row["type"] for row in low] == ["balance.low"]
    assert client.get("/api/v1/events", {"type": "nothing"}).status_code == 400
    assert len(client.get(DELIVERIES, {"status": "pending"}).json()["items"]) == 6
    assert client.get(DELIVERIES, {"status": "delivered"}).json()["items"] == []


def test_a_list_costs_the_same_queries_for_any_number(client, user, django_assert_num_queries):
    create(client)
    for number in range(30):
        tell(user, number=number)
    client.get(DELIVERIES)
    # The key with its owner, and the page.
    with django_assert_num_queries(2):
        client.get(DELIVERIES)


def test_the_balance_alert(client):
    path = "/api/v1/balance-alert"
    assert client.get(path).json() == {"below": None}
    assert client.put(path, {"below": 50}, format="json").json() == {"below": 50}
    assert client.get(path).json() == {"below": 50}
    for wrong in (0, -1, "50", 2**63, 1.5):
        assert client.put(path, {"below": wrong}, format="json").status_code == 400
    assert client.put(path, {"below": None}, format="json").json() == {"below": None}
    assert client.get(path).json() == {"below": None}


def test_an_event_is_shown_as_it_is_sent(client, user):
    create(client)
    tell(user, user_ref="x")
    (row,) = client.get("/api/v1/events", {"type": "wallet.frozen"}).json()["items"]
    assert client.get(f"/api/v1/events/{row['id']}").json() == row
    assert (row["api_version"], row["data"]) == ("1", {"user_ref": "x"})
    assert client.get(f"/api/v1/events/{uuid.uuid4()}").json()["code"] == "webhook_event_not_found"
    assert client.get(f"{DELIVERIES}/{uuid.uuid4()}").json()["code"] == "webhook_delivery_not_found"
