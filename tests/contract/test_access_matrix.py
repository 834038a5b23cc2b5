"""Who may do what: each method of each path, asked by each kind of caller.

The expected outcomes are the table in docs/access.md. The endpoints come from the URL map, so a new
one fails here until it has its row.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from accounts.step_up import CODE_HEADER
from accounts.tests import authenticators
from tests.contract.endpoints import Endpoint, endpoints
from tests.contract.world import FROZEN_ACCOUNT, World

TABLE = Path(__file__).resolve().parents[2] / "docs" / "access.md"
pytestmark = pytest.mark.django_db
COLUMNS = (
    "anonymous",
    "other",
    "read key",
    "write key",
    "owner in person",
    "frozen",
    "operator",
    "operator in person",
    "admin",
    "admin in person",
    "test key",
)
# How the table says that a request was refused for who sent it; anything else is a "yes", also
# where the request itself is wrong.
WORDS = {
    (403, "scope_missing"): "scope",
    (403, "role_required"): "role",
    (403, "key_cannot_manage_keys"): "person",
    (403, "wallet_frozen"): "frozen",
    (403, "sandbox_only"): "sandbox",
    (403, "step_up_required"): "step-up",
    (403, "second_factor_missing"): "step-up",
    (403, "only_the_maker"): "maker",
    (403, "key_may_not_vote"): "person",
}
REFUSALS = {401, 403, 404, 405}
PATHS: dict[str, Callable[[World], str]] = {
    # The usual job cannot be tried again: it has not ended.
    "jobs/{job_id}/retry": lambda world: f"jobs/{world.others['job_id'][1]}/retry",
    # Whoever has the address may send the bytes.
    "uploads/{asset_id}/content": lambda world: (
        f"uploads/{world.ids['uploads/asset_id']}/content?signature={world.ids['signature']}"
    ),
}


def expected() -> dict[str, tuple[str, ...]]:
    """The rows of the table by "METHOD path"."""
    rows = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `"):
            rows[cells[0]] = tuple(cells[1:])
    return rows


ENDPOINTS = endpoints()
EXPECTED = expected()


def test_table_has_the_rows_of_the_url_map():
    assert sorted(EXPECTED) == sorted(str(endpoint) for endpoint in ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_everybody_may_do_what_the_table_says(endpoint: Endpoint, world: World, undone):
    found = {}
    for caller in COLUMNS:
        with undone():
            found[caller] = outcome(world, endpoint, caller)
    wanted = dict(zip(COLUMNS, EXPECTED.get(str(endpoint), ()), strict=False))
    assert found == wanted, row(endpoint, found)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_a_frozen_account_may_do_nothing_that_needs_credentials(
    endpoint: Endpoint, world: World, undone
):
    with undone():
        told = outcome(world, endpoint, FROZEN_ACCOUNT)
    # What is public without credentials may still refuse those of a frozen account.
    is_public = EXPECTED[str(endpoint)][COLUMNS.index("anonymous")] != "401"
    assert told == "403 api_frozen" or (is_public and told == "yes")


def outcome(world: World, endpoint: Endpoint, caller: str) -> str:
    """Send the request; what the caller is told, in the table's words."""
    headers = {**world.headers_of(caller), "Idempotency-Key": uuid.uuid4().hex}
    if caller in {"operator in person", "admin in person"}:
        headers[CODE_HEADER] = authenticators.code_of(world.people[caller.split(maxsplit=1)[0]])
    path = PATHS.get(endpoint.path, lambda world: world.fill(endpoint.path))(world)
    body = json.dumps(world.bodies.get(str(endpoint), {}))
    answer = Client().generic(
        endpoint.method,
        f"/api/v1/{path}",
        body if endpoint.method != "GET" else "",
        content_type="application/json",
        headers=headers,
    )
    content = answer.getvalue().decode("utf-8", "replace")
    if caller in {"anonymous", "other", "test key"}:
        told = {one for one in world.owned() if one in content}
        assert not told - set(re.findall(r"[0-9a-f-]{36}", path + body)), content
    assert answer.status_code < 500, content
    if answer.status_code not in REFUSALS:
        return "yes"
    code = json.loads(content)["code"] if answer.status_code == 403 else ""
    return WORDS.get((answer.status_code, code), f"{answer.status_code} {code}".strip())


def row(endpoint: Endpoint, found: dict[str, str]) -> str:
    """What the table would have to say."""
    cells = " | ".join(found.values())
    return f"found: | `{endpoint}` | {cells} |"
