"""Submitting: one key makes one job, one quote pays one job, and a refusal holds nothing."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from accounts.types import Role
from inference import services, tasks
from inference.models import SwapJob
from inference.tests import factories
from inference.tests.racing import in_parallel
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services

URL = "/api/v1/jobs"


def submit(client, quote_id, key="key-1"):
    headers = {"idempotency-key": key} if key is not None else {}
    return client.post(URL, {"quote_id": str(quote_id)}, format="json", headers=headers)


def held(user) -> int:
    return tokens_selectors.balance(user_id=user.pk).held


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """Ids of the jobs whose message went to the broker."""
    ids: list[str] = []
    monkeypatch.setattr(
        tasks.run_swap_job, "apply_async", lambda kwargs, **_: ids.append(kwargs["job_id"])
    )
    return ids


@pytest.mark.django_db
def test_job_is_accepted_with_its_tokens_held(client_of, sent, django_capture_on_commit_callbacks):
    user = factories.make_user(tokens=5)
    quote = factories.make_quote(owner_id=user.pk)

    with django_capture_on_commit_callbacks(execute=True):
        answer = submit(client_of(user), quote.pk)

    assert answer.status_code == 202, answer.data
    job_id = answer.data["id"]
    assert answer.headers["Location"] == f"{URL}/{job_id}"
    assert "Idempotency-Replayed" not in answer.headers
    assert answer.data["state"] == "queued"
    assert answer.data["progress"] == factories.shown_progress(
        stage=None, percent=0, queue_position=1
    )
    assert (answer.data["error"], answer.data["output"]) == (None, None)
    receipt = answer.data["receipt"]
    transfers = receipt.pop("transfers")
    assert receipt.pop("price")["multiplier"] == 1.0
    assert receipt == {"quoted": 1, "held": 1, "settled": 0, "refunded": 0}
    assert [(row["kind"], row["available_change"]) for row in transfers] == [("hold", -1)]
    assert sent == [job_id]
    assert held(user) == 1


@pytest.mark.django_db
def test_accepting_a_job_costs_a_fixed_number_of_queries(django_assert_num_queries):
    user = factories.make_user(tokens=5)
    quotes = [factories.make_quote(owner_id=user.pk) for _ in range(5)]
    for quote in quotes:
        # The quote; then in one transaction, here a savepoint, the row, its uploads, the hold, the
        # row again, the plan, and the lock and the places.
        with django_assert_num_queries(10):
            services.submit_swap_job(
                owner_id=user.pk, quote_id=quote.pk, idempotency_key=str(quote.pk)
            )


@pytest.mark.django_db
def test_equal_repeat_answers_the_same_job_even_after_the_quote_expired(client_of):
    user = factories.make_user(tokens=5)
    quote = factories.make_quote(owner_id=user.pk)
    first = submit(client_of(user), quote.pk)
    factories.expire(quote)

    again = submit(client_of(user), quote.pk)

    assert (again.status_code, again.data) == (202, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert held(user) == 1


@pytest.mark.django_db
def test_same_key_with_another_quote_is_refused(client_of):
    user = factories.make_user(tokens=5)
    submit(client_of(user), factories.make_quote(owner_id=user.pk).pk)

    answer = submit(client_of(user), factories.make_quote(owner_id=user.pk).pk)

    assert (answer.status_code, answer.data["code"]) == (422, "idempotency_key_reused")
    assert held(user) == 1


@pytest.mark.django_db
def test_key_belongs_to_its_owner(client_of):
    users = [factories.make_user(tokens=1) for _ in range(2)]
    answers = [submit(client_of(user), factories.make_quote(owner_id=user.pk).pk) for user in users]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].data["id"] != answers[1].data["id"]


@pytest.mark.django_db
def test_used_quote_pays_no_second_job(client_of):
    user = factories.make_user(tokens=5)
    quote = factories.make_quote(owner_id=user.pk)
    submit(client_of(user), quote.pk, key="one")

    answer = submit(client_of(user), quote.pk, key="two")

    assert (answer.status_code, answer.data["code"]) == (409, "quote_redeemed")
    assert (SwapJob.objects.count(), held(user)) == (1, 1)


@pytest.mark.django_db
def test_expired_quote_is_refused_and_holds_nothing(client_of):
    user = factories.make_user(tokens=5)
    quote = factories.make_quote(owner_id=user.pk)
    factories.expire(quote)

    answer = submit(client_of(user), quote.pk)

    assert (answer.status_code, answer.data["code"]) == (409, "quote_expired")
    assert (SwapJob.objects.count(), held(user)) == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("whose", ["nobody's", "somebody else's"])
def test_foreign_quote_does_not_exist(client_of, whose):
    owner, thief = factories.make_user(tokens=5), factories.make_user(tokens=5)
    quote_id = uuid.uuid4()
    if whose == "somebody else's":
        quote_id = factories.make_quote(owner_id=owner.pk).pk

    answer = submit(client_of(thief), quote_id)

    assert (answer.status_code, answer.data["code"]) == (404, "quote_not_found")
    assert (SwapJob.objects.count(), held(owner), held(thief)) == (0, 0, 0)


@pytest.mark.django_db
def test_too_few_tokens_leave_no_job_and_the_quote_usable(client_of, settings):
    settings.TOKENS_PRICE_IMAGE = 7
    user = factories.make_user(tokens=6)
    quote = factories.make_quote(owner_id=user.pk)

    answer = submit(client_of(user), quote.pk)

    assert (answer.status_code, answer.data["code"]) == (402, "insufficient_tokens")
    assert (answer.data["needed"], answer.data["available"]) == (7, 6)
    assert (SwapJob.objects.count(), held(user)) == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (tokens_services.freeze_wallet, (403, "wallet_frozen")),
        (tokens_services.close_wallet, (409, "wallet_closed")),
    ],
)
def test_a_frozen_or_closed_wallet_says_so_and_leaves_the_quote_usable(client_of, step, wanted):
    user = factories.make_user()
    operator = factories.make_user(role=Role.OPERATOR)
    quote = factories.make_quote(owner_id=user.pk)
    step(user_ref=user.user_ref, reason="why", actor_id=operator.pk)

    answer = submit(client_of(user), quote.pk)

    assert (answer.status_code, answer.data["code"]) == wanted
    assert (SwapJob.objects.count(), held(user)) == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_missing"),
        ("", "idempotency_key_missing"),
        ("k" * 256, "idempotency_key_invalid"),
        ("schlüssel", "idempotency_key_invalid"),
    ],
)
def test_key_is_required_and_checked(client_of, key, code):
    user = factories.make_user(tokens=1)

    answer = submit(client_of(user), factories.make_quote(owner_id=user.pk).pk, key=key)

    assert (answer.status_code, answer.data["code"]) == (400, code)
    assert held(user) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{}, {"quote_id": 5}, {"quote_id": None}, {"quote_id": "x"}])
def test_wrong_types_are_refused(client_of, body):
    answer = client_of(factories.make_user()).post(
        URL, body, format="json", headers={"idempotency-key": "k"}
    )

    assert (answer.status_code, answer.data["code"]) == (400, "invalid_request")
    assert answer.data["errors"][0]["pointer"] == "#/quote_id"


@pytest.mark.django_db
def test_submit_rate_is_limited(client_of, settings):
    settings.JOBS_RATE = "1/h"
    user = factories.make_user(tokens=5)
    client = client_of(user)
    quotes = [factories.make_quote(owner_id=user.pk) for _ in range(2)]

    assert submit(client, quotes[0].pk, key="one").status_code == 202
    limited = submit(client, quotes[1].pk, key="two")

    assert (limited.status_code, limited.data["code"]) == (429, "rate_limited")
    assert held(user) == 1


@pytest.mark.django_db(transaction=True)
def test_same_key_at_once_makes_one_job_and_one_hold(sent):
    user = factories.make_user(tokens=1)
    quote = factories.make_quote(owner_id=user.pk)

    results = in_parallel(
        50,
        lambda _: services.submit_swap_job(
            owner_id=user.pk, quote_id=quote.pk, idempotency_key="same"
        ),
    )

    job = SwapJob.objects.get()
    assert {result.job_id for result in results} == {job.pk}
    assert Counter(result.is_replay for result in results) == {True: 49, False: 1}
    assert sent == [str(job.pk)]
    assert factories.books(job).kinds == ("hold",)
    assert held(user) == 1


@pytest.mark.django_db(transaction=True)
def test_one_quote_at_once_with_many_keys_pays_one_job(sent):
    user = factories.make_user(tokens=8)
    quote = factories.make_quote(owner_id=user.pk)

    results = in_parallel(
        8,
        lambda index: services.submit_swap_job(
            owner_id=user.pk, quote_id=quote.pk, idempotency_key=f"key-{index}"
        ),
    )

    codes = Counter(getattr(result, "code", "accepted") for result in results)
    assert codes == {"accepted": 1, "quote_redeemed": 7}
    assert (held(user), len(sent)) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_same_key_at_once_with_many_quotes_makes_one_job(sent):
    user = factories.make_user(tokens=8)
    quotes = [factories.make_quote(owner_id=user.pk) for _ in range(8)]

    results = in_parallel(
        8,
        lambda index: services.submit_swap_job(
            owner_id=user.pk, quote_id=quotes[index].pk, idempotency_key="same"
        ),
    )

    codes = Counter(getattr(result, "code", "accepted") for result in results)
    assert codes == {"accepted": 1, "idempotency_key_reused": 7}
    assert (held(user), len(sent)) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_last_tokens_are_not_sold_twice(sent):
    user = factories.make_user(tokens=3)
    quotes = [factories.make_quote(owner_id=user.pk) for _ in range(8)]

    results = in_parallel(
        8,
        lambda index: services.submit_swap_job(
            owner_id=user.pk, quote_id=quotes[index].pk, idempotency_key=f"key-{index}"
        ),
    )

    codes = Counter(getattr(result, "code", "accepted") for result in results)
    assert codes == {"accepted": 3, "insufficient_tokens": 5}
    assert len(sent) == 2, "as many as the free plan has at work at once"
    balance = tokens_selectors.balance(user_id=user.pk)
    assert (balance.available, balance.held) == (0, 3)


@pytest.mark.django_db(transaction=True)
def test_broker_that_is_down_does_not_undo_an_accepted_job(client_of, monkeypatch):
    def unreachable(**_):
        raise ConnectionError("broker down")

    monkeypatch.setattr(tasks.run_swap_job, "apply_async", unreachable)
    user = factories.make_user(tokens=1)

    answer = submit(client_of(user), factories.make_quote(owner_id=user.pk).pk)

    assert answer.status_code == 202
    assert SwapJob.objects.get().status == SwapJob.Status.QUEUED
