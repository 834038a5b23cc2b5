"""The error catalogue: complete, unambiguous, and the same in pages and in answers."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from django.test import Client, RequestFactory
from django.urls import path
from django.utils.html import escape
from django_ratelimit.exceptions import Ratelimited
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.test import APIClient
from rest_framework.views import APIView

from facefusion_site.common import errors
from facefusion_site.common.drf import problem, problem_response, to_domain_error
from facefusion_site.common.errors import DomainError, InvalidRequestError


def test_every_code_is_unique_and_well_formed():
    catalogue = errors.catalogue()
    repeated = [code for code, times in Counter(e.code for e in catalogue).items() if times > 1]
    assert repeated == []
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{2,63}", error.code) for error in catalogue)
    assert all(400 <= error.http_status <= 599 for error in catalogue)


def test_the_catalogue_covers_every_app():
    modules = {error.__module__ for error in errors.catalogue()}
    assert modules >= {
        "facefusion_site.common.errors",
        "facefusion_site.common.idempotency",
        "accounts.errors",
        "tokens.errors",
        "inference.errors",
    }


def test_no_error_is_without_a_code_of_its_own():
    def walk(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from walk(sub)

    errors.catalogue()
    assert [cls for cls in walk(DomainError) if "code" not in vars(cls)] == []


def test_every_error_says_what_to_do_next():
    generic = DomainError.next_step
    silent = [error.code for error in errors.catalogue() if error.next_step is generic]
    assert silent == []


@pytest.mark.django_db
def test_the_list_page_shows_every_code_with_status_and_texts(client):
    page = client.get("/errors/").content.decode()
    for error in errors.catalogue():
        row = re.search(rf'<tr role="row" id="{error.code}">(.*?)</tr>', page, re.DOTALL)
        assert row is not None, error.code
        assert f'class="numeric">{error.http_status}</td>' in row[1]
        assert escape(str(error.title)) in row[1]
        assert escape(str(error.next_step)) in row[1]
        assert f'href="/errors/{error.code}"' in row[1]


@pytest.mark.django_db
def test_every_problem_type_resolves(client):
    for error in errors.catalogue():
        page = client.get(f"/errors/{error.code}")
        assert page.status_code == 200
        assert f"<code>{error.code}</code>" in page.content.decode()


@pytest.mark.django_db
def test_an_unknown_code_is_a_404_page(client):
    page = client.get("/errors/no_such_code")
    assert page.status_code == 404
    assert page["Content-Type"].startswith("text/html")


@pytest.mark.django_db
def test_an_unknown_api_path_is_a_problem(settings):
    settings.PUBLIC_URL = "https://swap.example"
    answer = APIClient().get("/api/v1/nothing", HTTP_X_REQUEST_ID="req-42")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == "https://swap.example/errors/not_found"
    assert (body["code"], body["status"]) == ("not_found", 404)
    assert body["request_id"] == "req-42" == answer["X-Request-Id"]
    assert (body["retryable"], body["charged_tokens"]) == (False, 0)


@pytest.mark.parametrize(
    ("method", "extra", "code"),
    [
        ("put", {"data": {}, "format": "json"}, "method_not_allowed"),
        ("post", {"data": "{", "content_type": "application/json"}, "parse_error"),
        ("post", {"data": "x", "content_type": "text/plain"}, "unsupported_media_type"),
        ("post", {"data": {}, "format": "json"}, "invalid_request"),
        (
            "post",
            {"data": {}, "format": "json", "HTTP_ACCEPT": "text/csv"},
            "not_acceptable",
        ),
    ],
)
@pytest.mark.django_db
def test_the_frameworks_own_refusals_are_problems(method, extra, code):
    answer = getattr(APIClient(), method)("/api/v1/auth/token", **extra)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.status_code == answer.json()["status"]
    if code == "method_not_allowed":
        assert "POST" in answer["Allow"]


class _BrokenView(APIView):
    permission_classes = [AllowAny]

    def get(self, request):
        raise RuntimeError("secret detail")


urlpatterns = [path("api/v1/broken", _BrokenView.as_view())]
handler500 = "facefusion_site.error_pages.server_error"


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_a_bug_is_a_500_problem_without_details(settings):
    client = Client(raise_request_exception=False)
    answer = client.get("/api/v1/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret" not in answer.content.decode()


def test_a_plain_ratelimited_is_a_429_with_a_wait():
    error = to_domain_error(Ratelimited())
    assert error is not None
    assert (error.code, error.http_status) == ("rate_limited", 429)
    assert error.context["retry_after_s"] == 60


def test_a_bug_is_no_domain_error():
    assert to_domain_error(KeyError("x")) is None


def test_nested_faults_get_json_pointers():
    error = to_domain_error(
        ValidationError(
            {
                "lines": [{}, {"amount": ["Too small."], "a/b": ["Odd name."]}],
                "non_field_errors": ["Whole."],
            }
        )
    )
    assert isinstance(error, InvalidRequestError)
    assert [item["pointer"] for item in error.errors] == ["#/lines/1/amount", "#/lines/1/a~1b", "#"]


def test_context_never_overwrites_the_documents_members(settings):
    body = problem(errors.NotFoundError("No.", status=999, needed=7, ids=[1]), request_id="req-1")
    assert body["status"] == 404
    assert (body["needed"], body["ids"]) == (7, [1])


def test_a_problem_outside_the_api_carries_its_headers():
    request = RequestFactory().get("/", HTTP_X_REQUEST_ID="req-9")
    answer = problem_response(request, errors.RateLimitedError("Wait.", retry_after_s=7))
    assert answer["Retry-After"] == "7"
    assert b'"request_id": "req-9"' in answer.content
