"""Requests made from the schema, by every kind of caller: no crash, and nothing undocumented.

The real WSGI application answers in this process, on the real PostgreSQL and Valkey. Each case
starts from the same world and is undone, so a case that fails fails again on its own.

API_CASES is about how many cases there are in all (5,000 by default); API_SEED chooses them, and
is 0 by default: a run then repeats the last one. Empty, it is drawn and printed.
"""

from __future__ import annotations

import os
import random
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from facefusion_site.wsgi import application
from tests.contract.world import FROZEN, World
from tokens import audit

pytestmark = pytest.mark.django_db
CASES = int(os.environ.get("API_CASES", "5000"))
SEED = int(os.environ.get("API_SEED", "0") or random.SystemRandom().randrange(2**32))
SCHEMA = schemathesis.openapi.from_wsgi("/api/v1/schema?format=json", application)


def operations() -> Iterator[Any]:
    """Every operation of the schema; one that cannot be read is an error of the schema."""
    for result in SCHEMA.get_all_operations():
        assert isinstance(result, Ok), result
        yield result.ok()


OPERATIONS = {it.definition.raw["operationId"]: it for it in operations()}
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]
# A stream of events is text to OpenAPI 3.1, which has no word for the single event.
EXCLUDED = {"jobs_events": [openapi_checks.response_schema_conformance]}
# Parameters of bodies that name something which is there.
NAMED = {
    "quote_id": "quote_id",
    "source_asset_id": "asset_id",
    "target_asset_id": "asset_id",
    "target_asset_ids": "asset_id",
    "source_face_id": "face_id",
    "target_face_id": "face_id",
    "user_ref": "user_ref",
}
CREDENTIALS = {"authorization", "x-api-key"}
# How often an id is replaced by that of something that is there.
KNOWN_SHARE = 0.7


def weight(operation: Any) -> int:
    """How much there is to vary: nothing, a path, or more."""
    if operation.body or operation.query:
        return 9
    return 4 if operation.path_parameters else 1


WEIGHTS = sum(weight(operation) for operation in OPERATIONS.values())
QUOTA = {name: -(-CASES * weight(it) // WEIGHTS) for name, it in OPERATIONS.items()}


@pytest.fixture(autouse=True)
def _nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of other machines are not looked up: no case leaves this one."""
    look_up = socket.getaddrinfo

    def only_here(host, *args, **kwargs):
        if host not in {"127.0.0.1", "::1", "localhost"}:
            raise socket.gaierror(socket.EAI_NONAME, "nothing outside in tests")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", only_here)


def test_there_are_enough_cases():
    assert sum(QUOTA.values()) >= CASES


@pytest.mark.timeout(120 + CASES // 10)
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_code_does_what_the_schema_says(name: str, world: World, undone):
    operation = OPERATIONS[name]
    done = 0

    @seed(SEED)
    @settings(
        max_examples=QUOTA[name],
        phases=[Phase.generate, Phase.shrink],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(
        case=cases(operation),
        caller=st.sampled_from(sorted([*world.callers, FROZEN])),
        dice=st.randoms(use_true_random=False),
    )
    def check(case: Any, caller: str, dice: random.Random) -> None:
        nonlocal done
        done += 1
        make_known(case, world, dice)
        if caller != "anonymous":
            # The schema's credentials are random; these are good.
            case.headers = {k: v for k, v in case.headers.items() if k.lower() not in CREDENTIALS}
        with undone():
            answer = case.call(
                headers=world.headers_of(caller), environ_overrides={"REMOTE_ADDR": "127.0.0.1"}
            )
            case.validate_response(answer, checks=CHECKS, excluded_checks=EXCLUDED.get(name))
            assert_code_is_documented(case, answer)
            if case.method != "GET" and answer.status_code < 300:
                assert audit.find_violations() == []

    sys.stdout.write(f"API_SEED={SEED}\n")
    check()
    sys.stdout.write(f"{done} cases\n")
    # Where there is nothing to choose but the caller, there are no more cases than callers.
    assert done >= min(QUOTA[name], 1 + len(world.callers) if is_fixed(operation) else CASES)


def cases(operation: Any) -> st.SearchStrategy[Any]:
    """Requests as the schema wants them and, where it wants anything, others too."""
    good: st.SearchStrategy[Any] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if is_fixed(operation):
        return good
    return st.one_of(good, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def is_fixed(operation: Any) -> bool:
    """Whether the schema leaves nothing of the request open."""
    return not (operation.body or operation.query or operation.path_parameters or operation.headers)


def make_known(case: Any, world: World, dice: random.Random) -> None:
    """Let most ids be those of something that is there."""
    path = case.path.removeprefix("/api/v1/")
    for name in case.path_parameters or {}:
        if dice.random() < KNOWN_SHARE:
            case.path_parameters[name] = dice.choice(world.known(path, name))
    if isinstance(case.body, dict | list):
        case.body = _known(case.body, world, dice)


def _known(value: Any, world: World, dice: random.Random) -> Any:
    if isinstance(value, list):
        return [_known(one, world, dice) for one in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, inner in value.items():
        if name in NAMED and dice.random() < KNOWN_SHARE:
            choices = world.known("", NAMED[name])
            made[name] = (
                [dice.choice(choices) for _one in inner]
                if isinstance(inner, list)
                else dice.choice(choices)
            )
        else:
            made[name] = _known(inner, world, dice)
    return made


def assert_code_is_documented(case: Any, answer: Any) -> None:
    """A refusal names one of the codes that the schema lists for its status."""
    if answer.status_code < 400:
        return
    said = case.operation.definition.raw["responses"][str(answer.status_code)]
    codes = re.findall(r"`(\w+)`", said.get("description", ""))
    assert answer.json()["code"] in codes, (answer.status_code, answer.json(), codes)
