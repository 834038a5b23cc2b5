"""Quotes: what is promised, to whom, and what is refused."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from inference import handlers
from inference.models import SwapJob, SwapQuote
from inference.tests import factories
from tokens import selectors as tokens_selectors

pytestmark = pytest.mark.django_db
URL = "/api/v1/quotes"


def body(user, **changes):
    return {
        "operation": "image_swap",
        "source_asset_id": str(factories.make_asset(owner_id=user.pk).pk),
        "target_asset_id": str(factories.make_asset(owner_id=user.pk).pk),
        **changes,
    }


def test_quote_promises_a_price_and_holds_nothing(client_of, settings):
    settings.TOKENS_PRICE_IMAGE = 3
    user = factories.make_user(tokens=10)
    client = client_of(user)

    answer = client.post(URL, body(user, options={"target_faces": "all"}), format="json")

    assert answer.status_code == 201, answer.data
    assert answer.data["operation"] == "image_swap"
    assert answer.data["tokens"] == 3
    assert answer.data["lines"] == [
        {
            "operation": "image_swap",
            "quantity": 1,
            "units": 1,
            "unit_price": 3,
            "multiplier": 1.0,
            "total": 3,
        }
    ]
    assert answer.data["balance"] == {"available": 10, "after": 7}
    assert (answer.data["affordable"], answer.data["state"]) == (True, "open")
    assert answer.data["price_locked_until"] == answer.data["expires_at"]
    assert answer.data["eta_s"] is None, "no job has ended yet"
    assert answer.data["options"] == {"target_faces": "all"}
    assert answer.data["job_id"] is None
    ttl = SwapQuote.objects.get().expires_at - timezone.now()
    assert dt.timedelta(seconds=880) < ttl <= dt.timedelta(seconds=900)
    assert tokens_selectors.balance(user_id=user.pk).held == 0
    assert client.get(answer.headers["Location"]).data == answer.data


def test_options_are_optional(client_of):
    user = factories.make_user()

    answer = client_of(user).post(URL, body(user), format="json")

    assert answer.data["options"] == {"target_faces": "one"}
    assert answer.data["balance"] == {"available": 0, "after": -1}
    assert answer.data["affordable"] is False


def test_price_changes_do_not_touch_a_promise(client_of, settings):
    user = factories.make_user(tokens=10)
    quote = factories.make_quote(owner_id=user.pk)
    settings.TOKENS_PRICE_IMAGE = 9

    answer = client_of(user).post(
        "/api/v1/jobs", {"quote_id": str(quote.pk)}, format="json", headers={"idempotency-key": "k"}
    )

    assert answer.data["receipt"]["held"] == 1


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"operation": "audio_swap"}, "#/operation"),
        ({"operation": None}, "#/operation"),
        ({"source_asset_id": 5}, "#/source_asset_id"),
        ({"target_asset_id": "not-a-uuid"}, "#/target_asset_id"),
        ({"target_asset_id": ["x"]}, "#/target_asset_id"),
        ({"options": "largest"}, "#/options"),
        ({"options": {"target_faces": "both"}}, "#/options/target_faces"),
    ],
)
def test_wrong_types_are_named(client_of, changes, pointer):
    user = factories.make_user()

    answer = client_of(user).post(URL, body(user, **changes), format="json")

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_request")
    assert [fault["pointer"] for fault in answer.data["errors"]] == [pointer]
    assert SwapQuote.objects.count() == 0


@pytest.mark.parametrize("raw", ["[]", '"text"', "{"])
def test_body_that_is_no_object_is_refused(client_of, raw):
    answer = client_of(factories.make_user()).post(URL, raw, content_type="application/json")

    assert answer.status_code == 400
    assert answer.data["code"] in {"invalid_request", "parse_error"}


@pytest.mark.parametrize("field", ["source_asset_id", "target_asset_id"])
@pytest.mark.parametrize("whose", ["nobody's", "somebody else's"])
def test_foreign_upload_does_not_exist(client_of, field, whose):
    user = factories.make_user()
    foreign = uuid.uuid4()
    if whose == "somebody else's":
        foreign = factories.make_asset(owner_id=factories.make_user().pk).pk

    answer = client_of(user).post(URL, body(user, **{field: str(foreign)}), format="json")

    assert (answer.status_code, answer.data["code"]) == (404, "asset_not_found")
    assert answer.data["param"] == field
    assert SwapQuote.objects.count() == 0


def test_somebody_elses_quote_does_not_exist(client_of):
    quote = factories.make_quote(owner_id=factories.make_user().pk)

    answer = client_of(factories.make_user()).get(f"{URL}/{quote.pk}")

    assert (answer.status_code, answer.data["code"]) == (404, "quote_not_found")


def test_quote_names_the_job_it_paid_for(client_of):
    user = factories.make_user(tokens=1)
    job = factories.make_job(owner_id=user.pk)

    answer = client_of(user).get(f"{URL}/{job.quote_id}")

    assert answer.data["job_id"] == str(job.pk)


def test_quote_says_what_it_is_still_good_for(client_of):
    user = factories.make_user(tokens=1)
    client = client_of(user)
    spent, late = factories.make_job(owner_id=user.pk).quote, factories.make_quote(owner_id=user.pk)
    factories.expire(late)
    factories.expire(spent)

    states = [client.get(f"{URL}/{quote.pk}").data["state"] for quote in (spent, late)]

    assert states == ["redeemed", "expired"]


@pytest.mark.usefixtures("fast_swap")
def test_eta_follows_from_the_queue_and_from_the_last_jobs(client_of):
    user = factories.make_user(tokens=5)
    done = factories.make_job(owner_id=user.pk)
    handlers.run_swap_job(job_id=done.pk)
    now = timezone.now()
    SwapJob.objects.filter(pk=done.pk).update(
        started_at=now - dt.timedelta(seconds=30), finished_at=now
    )
    waiting = [factories.make_job(owner_id=user.pk) for _ in range(2)]

    answer = client_of(user).post(URL, body(user), format="json")
    last = client_of(user).get(f"/api/v1/jobs/{waiting[-1].pk}")

    assert answer.data["eta_s"] == 90, "two jobs before it, then its own"
    progress = last.data["progress"]
    assert (progress["queue_position"], progress["eta_s"]) == (2, 60)


def test_database_refuses_a_free_quote():
    quote = factories.make_quote(owner_id=factories.make_user().pk)

    with pytest.raises(IntegrityError, match="swapquote_costs_something"), transaction.atomic():
        SwapQuote.objects.filter(pk=quote.pk).update(tokens=0)
