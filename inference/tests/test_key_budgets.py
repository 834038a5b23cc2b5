"""The daily budget of an API key, where jobs set tokens aside."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts.types import KeyLimits
from inference.models import SwapJob
from inference.tests import factories
from tokens import selectors as tokens_selectors

pytestmark = pytest.mark.django_db


def submit(key, quote, name):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client.post(
        "/api/v1/jobs", {"quote_id": str(quote.pk)}, format="json", HTTP_IDEMPOTENCY_KEY=name
    )


def test_a_job_beyond_the_keys_day_is_refused_and_holds_nothing():
    user = factories.make_user(tokens=50)
    quotes = [factories.make_quote(owner_id=user.pk) for _ in range(2)]
    issued = accounts_services.issue_api_key(
        user_id=user.pk,
        name="shop",
        scopes=["jobs:write"],
        limits=KeyLimits(daily_token_budget=quotes[0].tokens),
    )
    assert submit(issued.key, quotes[0], "one").status_code == 202
    refused = submit(issued.key, quotes[1], "two")
    assert (refused.status_code, refused.json()["code"]) == (402, "api_key_budget_exceeded")
    assert submit(issued.key, quotes[0], "one")["Idempotency-Replayed"] == "true"
    assert SwapJob.objects.count() == 1
    assert tokens_selectors.balance(user_id=user.pk).held == quotes[0].tokens


def test_a_batch_counts_what_it_sets_aside_and_no_more():
    user = factories.make_user(tokens=2)
    source, target = (factories.make_asset(owner_id=user.pk).pk for _ in range(2))
    issued = accounts_services.issue_api_key(
        user_id=user.pk,
        name="shop",
        scopes=["jobs:write"],
        limits=KeyLimits(daily_token_budget=4),
    )

    def order(rows_count: int, name: str):
        row = {
            "operation": "image_swap",
            "source_asset_id": str(source),
            "target_asset_id": str(target),
        }
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
        return client.post(
            "/api/v1/jobs/batches",
            {"jobs": [row] * rows_count, "mode": "soft_fail"},
            format="json",
            HTTP_IDEMPOTENCY_KEY=name,
        )

    refused = order(5, "too many")
    assert (refused.status_code, refused.json()["code"]) == (402, "api_key_budget_exceeded")
    assert not SwapJob.objects.exists()
    # Four are within the budget, two within the balance: the key's day keeps the other two.
    taken = order(4, "four").json()
    assert (taken["accepted_count"], taken["refused_count"], taken["tokens"]) == (2, 2, 2)
    assert order(4, "four")["Idempotency-Replayed"] == "true"
    spent = order(3, "three").json()
    assert (spent["code"], spent["spent_today"]) == ("api_key_budget_exceeded", 2)
    assert tokens_selectors.balance(user_id=user.pk).held == 2
