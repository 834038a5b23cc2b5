"""API keys do only what their scopes say."""

from __future__ import annotations

import uuid

import pytest
from rest_framework.test import APIClient

from accounts import services as accounts_services
from inference.tests import factories

pytestmark = pytest.mark.django_db
SOME_ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("get", "/api/v1/assets", "media:read"),
        ("post", "/api/v1/assets", "media:write"),
        ("get", f"/api/v1/assets/{SOME_ID}", "media:read"),
        ("get", f"/api/v1/assets/{SOME_ID}/content", "media:read"),
        ("get", f"/api/v1/assets/{SOME_ID}/thumbnail", "media:read"),
        ("delete", f"/api/v1/assets/{SOME_ID}", "media:write"),
        ("post", "/api/v1/uploads", "media:write"),
        ("post", f"/api/v1/uploads/{SOME_ID}/complete", "media:write"),
        ("post", "/api/v1/imports", "media:write"),
        ("get", f"/api/v1/assets/{SOME_ID}/faces", "media:read"),
        ("post", f"/api/v1/assets/{SOME_ID}/faces", "media:write"),
        ("delete", f"/api/v1/assets/{SOME_ID}/faces", "media:write"),
        ("get", f"/api/v1/assets/{SOME_ID}/faces/{SOME_ID}/thumbnail", "media:read"),
        ("post", "/api/v1/quotes", "jobs:write"),
        ("get", f"/api/v1/quotes/{SOME_ID}", "jobs:read"),
        ("get", "/api/v1/jobs", "jobs:read"),
        ("post", "/api/v1/jobs", "jobs:write"),
        ("get", f"/api/v1/jobs/{SOME_ID}", "jobs:read"),
        ("get", f"/api/v1/jobs/{SOME_ID}/result", "jobs:read"),
        ("get", f"/api/v1/jobs/{SOME_ID}/thumbnail", "jobs:read"),
    ],
)
def test_each_operation_needs_its_own_scope(method, path, needed):
    user = factories.make_user()
    every = {"media:read", "media:write", "jobs:read", "jobs:write"}
    outcomes = {}
    for name, scopes in {"with": {needed}, "without": every - {needed}}.items():
        key = accounts_services.issue_api_key(user_id=user.pk, name=name, scopes=scopes).key
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        outcomes[name] = getattr(client, method)(path)

    assert outcomes["with"].status_code != 403
    assert (outcomes["without"].status_code, outcomes["without"].data["code"]) == (
        403,
        "scope_missing",
    )
    assert outcomes["without"].data["required_scope"] == needed
