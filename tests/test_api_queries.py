"""What the requests that programs send all day ask of the database."""

from __future__ import annotations

import uuid

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts.types import ROLE_SCOPES, Role
from inference.tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    yield factories.make_user(tokens=10)
    cache.clear()


@pytest.fixture
def http(user) -> APIClient:
    """With a key that was used in this minute, so that its use is not written again."""
    key = accounts_services.issue_api_key(
        user_id=user.pk, name="queries", scopes=ROLE_SCOPES[Role.USER]
    ).key
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert client.get("/api/v1/balance").status_code == 200
    return client


def test_health_asks_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200


def test_balance(http, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert http.get("/api/v1/balance").status_code == 200


def test_a_job_that_waits(http, user, django_assert_num_queries):
    job = factories.make_job(owner_id=user.pk)
    # The key, the job, its receipt, its place in the queue, the pace of others.
    with django_assert_num_queries(5):
        assert http.get(f"/api/v1/jobs/{job.pk}").status_code == 200


def test_a_job_that_has_ended(http, user, django_assert_num_queries):
    job = factories.make_job(owner_id=user.pk)
    assert http.post(f"/api/v1/jobs/{job.pk}/cancel").status_code == 200
    with django_assert_num_queries(3):
        assert http.get(f"/api/v1/jobs/{job.pk}").status_code == 200


def test_creating_a_job(http, user, django_assert_num_queries):
    quotes = [factories.make_quote(owner_id=user.pk) for _ in range(2)]

    def create(quote) -> int:
        answer = http.post(
            "/api/v1/jobs",
            {"quote_id": str(quote.pk)},
            format="json",
            headers={"idempotency-key": uuid.uuid4().hex},
        )
        return int(answer.status_code)

    assert create(quotes[0]) == 202
    # The key; the transaction of ten, its begin and end among them; the four of a job that waits.
    with django_assert_num_queries(15):
        assert create(quotes[1]) == 202
