"""What generated requests have found, each as the one request that shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from tests.contract.world import World

pytestmark = pytest.mark.django_db


def send(world: World, caller: str, method: str, path: str, body: Any = None) -> Any:
    return Client(enforce_csrf_checks=True).generic(
        method,
        f"/api/v1/{path}",
        "" if body is None else json.dumps(body),
        content_type="application/json",
        headers=world.callers[caller],
    )


@pytest.mark.parametrize("name", ["start_s", "end_s"])
def test_a_moment_beyond_all_numbers_is_refused(world: World, undone, name):
    body = world.bodies["POST quotes"] | {"options": {"video": {name: 1.7e308}}}

    with undone():
        answer = send(world, "owner", "POST", "quotes", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_signature_of_other_letters_is_wrong(world: World, undone):
    with undone():
        answer = send(
            world, "anonymous", "PUT", world.fill("uploads/{asset_id}/content?signature=ü")
        )

    assert (answer.status_code, answer.json()["code"]) == (403, "upload_url_invalid")


def test_what_is_not_there_is_not_a_form_that_has_expired(world: World, undone):
    with undone():
        answer = send(world, "owner", "POST", "jobs/not-an-id/cancel")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_every_refusal_is_documented_as_a_problem():
    document = SchemaGenerator().get_schema(request=None, public=True)
    undocumented = [
        (operation["operationId"], status)
        for operations in document["paths"].values()
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        # 416 belongs to the ranges of HTTP and has no body of ours.
        if int(status) >= 400
        and status != "416"
        and "application/problem+json" not in answer.get("content", {})
    ]
    assert undocumented == []
