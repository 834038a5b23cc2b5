"""The API's schema: complete, valid, and shown on a page that needs nobody else's server."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client

from facefusion_site.openapi_lint import lint, main

FILE = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def test_the_schema_is_valid_and_complete(document):
    assert list(lint(document)) == []


def quote_of(document: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = document["paths"]["/api/v1/quotes"]["post"]
    return operation


def without_summary(document):
    del quote_of(document)["summary"]


def with_the_id_of_another(document):
    quote_of(document)["operationId"] = "jobs_create"


def without_errors(document):
    responses = quote_of(document)["responses"]
    quote_of(document)["responses"] = {"201": responses["201"]}


def without_example(document):
    del quote_of(document)["responses"]["201"]["content"]["application/json"]["examples"]


def with_a_wrong_example(document):
    content = quote_of(document)["requestBody"]["content"]["application/json"]
    content["examples"] = {"wrong": {"value": {"operation": "juggling"}}}


def of_no_type(document):
    document["components"]["schemas"]["Quote"]["type"] = "thing"


@pytest.mark.parametrize(
    ("break_it", "fault"),
    [
        (without_summary, "POST /api/v1/quotes: no summary"),
        (with_the_id_of_another, "Operation ID 'jobs_create'"),
        (without_errors, "POST /api/v1/quotes: no error is documented"),
        (without_example, "POST /api/v1/quotes: 201: no example"),
        (with_a_wrong_example, "POST /api/v1/quotes: request: the example is not"),
        (of_no_type, "not OpenAPI 3.1"),
    ],
)
def test_each_fault_is_found(document, break_it, fault, tmp_path, capsys):
    broken = copy.deepcopy(document)
    break_it(broken)
    file = tmp_path / "openapi.yaml"
    file.write_text(yaml.safe_dump(broken), encoding="utf-8")
    assert main([str(file)]) == 1
    assert fault in capsys.readouterr().err


@pytest.mark.django_db
def test_the_page_needs_nobody_elses_server():
    client = Client()
    page = client.get("/api/docs").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    assert all(it.startswith("/") for it in addresses), addresses
    for address in addresses:
        assert client.get(address).status_code == 200, address


@pytest.mark.django_db
def test_what_is_served_has_examples():
    served = yaml.safe_load(Client().get("/api/v1/schema").content)
    assert served["components"]["examples"]["insufficient_tokens"]["value"]["status"] == 402
