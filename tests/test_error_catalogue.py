"""The catalogue of errors is what the code raises, what tests trigger and what the page says."""

from __future__ import annotations

import ast
import datetime as dt
import json
import os
import pkgutil
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone, translation
from rest_framework.test import APIClient

from accounts import freeze_selectors
from accounts import services as accounts_services
from accounts.models import ApiKey, User
from accounts.types import Role
from facefusion_site import error_docs
from facefusion_site.common import drf, errors
from facefusion_site.common.errors import DomainError
from inference.errors import failure_codes, failure_text
from inference.tests import factories

ROOT = Path(__file__).resolve().parents[1]
APPS = (
    "facefusion_site",
    "accounts",
    "tokens",
    "trust",
    "inference",
    "promotions",
    "productions",
    "risk",
)
CATALOGUE = {error.__name__: error for error in errors.catalogue()}


def sources(*, are_tests: bool) -> Iterator[Path]:
    folders = (*APPS, "tests") if are_tests else APPS
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if ("tests" in path.parts) == are_tests and "migrations" not in path.parts:
                yield path


def made_in(path: Path) -> Iterator[str]:
    """Names of catalogued classes that a module makes an instance of."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            made = node.func
            name = made.id if isinstance(made, ast.Name) else getattr(made, "attr", "")
            if name in CATALOGUE:
                yield name


def test_every_error_is_raised_somewhere():
    made = {name for path in sources(are_tests=False) for name in made_in(path)}
    # The framework's own refusals are looked up in a table.
    made |= {error.__name__ for _kind, error in drf._BY_EXCEPTION}
    # So are those of freezes, by what is frozen.
    made |= {error.__name__ for error, _text in freeze_selectors._REFUSALS.values()}
    assert sorted(set(CATALOGUE) - made) == []


def test_every_error_is_triggered_by_a_test():
    """Each code, or its class, stands in a test; those that compare lists of codes do not count."""
    here = Path(__file__)
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in sources(are_tests=True)
        if path.name not in {"test_errors.py", here.name}
    )
    text += "\n".join(f'"{trigger.code}"' for trigger in TRIGGERS)
    text += (ROOT / "tests" / "test_errors.py").read_text(encoding="utf-8")
    untested = [
        error.code
        for name, error in CATALOGUE.items()
        if f'"{error.code}"' not in text and not re.search(rf"\b{name}\b", text)
    ]
    assert untested == []


def test_the_catalogue_is_complete_in_a_process_that_imported_nothing_else():
    script = (
        "import django, json; django.setup(); from facefusion_site.common import errors; "
        "print(json.dumps(sorted(error.code for error in errors.catalogue())))"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "facefusion_site.settings.test"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    for app in APPS:
        package = import_module(app)
        for module in pkgutil.walk_packages(package.__path__, f"{app}."):
            is_code = not re.search(r"\.(tests|migrations|settings|wsgi|__main__)\b", module.name)
            if is_code and "probe_child" not in module.name:
                import_module(module.name)
    everything = sorted(error.code for error in errors.catalogue())
    assert json.loads(done.stdout) == everything


def test_the_page_is_what_the_code_says():
    assert error_docs.PAGE.read_text(encoding="utf-8") == error_docs.render(), "run: make errors"


def test_the_page_is_checked_by_the_command(tmp_path, monkeypatch, capsys):
    assert error_docs.main(["check"]) == 0
    monkeypatch.setattr(error_docs, "PAGE", tmp_path / "errors.md")
    assert error_docs.main(["check"]) == 1
    assert "make errors" in capsys.readouterr().err
    assert error_docs.main(["write"]) == 0
    assert error_docs.main(["check"]) == 0


def test_the_page_has_an_anchor_for_every_code_of_every_kind():
    page = error_docs.render()
    for error in CATALOGUE.values():
        assert f'<a id="{error.code}"></a>' in page
    for code in failure_codes():
        assert f'<a id="job-{code}"></a>' in page
        assert str(failure_text(code)) in page


@dataclass(frozen=True)
class Trigger:
    """A real request that is refused with this code."""

    code: str
    send: Callable[[World], Any]


class World:
    """Who sends requests, and what there is to refuse."""

    def __init__(self) -> None:
        self.user = factories.make_user(tokens=1)
        self.operator = factories.make_user(role=Role.OPERATOR)
        self.anonymous = _client()
        self.person = self._as(self.user)
        self.staff = self._as(self.operator)
        self.program = self.with_key(self.key(self.user, "jobs:read", "webhooks:read"))

    def key(self, user: User, *scopes: str, **more: Any) -> str:
        return accounts_services.issue_api_key(
            user_id=user.pk, name="test", scopes=scopes, **more
        ).key

    def with_key(self, key: str) -> APIClient:
        client = _client()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        return client

    def worn_out_key(self, field: str) -> APIClient:
        key = self.key(self.user, "jobs:read")
        ApiKey.objects.update(**{field: timezone.now() - dt.timedelta(seconds=1)})
        return self.with_key(key)

    def post(self, client: APIClient, path: str, body: Any = None, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(f"/api/v1/{path}", body or {}, format="json", headers=sent)

    def job(self, **headers: str) -> Any:
        quote = factories.make_quote(owner_id=self.user.pk)
        return self.post(self.person, "jobs", {"quote_id": str(quote.pk)}, **headers)

    def used_quote(self) -> Any:
        job = factories.make_job(owner_id=self.user.pk)
        body = {"quote_id": str(job.quote_id)}
        return self.post(self.person, "jobs", body, idempotency_key="other")

    def old_quote(self) -> Any:
        quote = factories.make_quote(owner_id=self.user.pk)
        factories.expire(quote)
        return self.post(self.person, "jobs", {"quote_id": str(quote.pk)}, idempotency_key="old")

    def too_dear(self) -> Any:
        factories.make_job(owner_id=self.user.pk)
        return self.job(idempotency_key="second")

    def magic_media(self) -> Any:
        ok = "00000000-7e57-4000-8000-000000000001"
        body = {"operation": "image_swap", "source_asset_id": ok, "target_asset_id": ok}
        return self.post(self.person, "quotes", body)

    def reused_key(self) -> Any:
        self.job(idempotency_key="same")
        return self.job(idempotency_key="same")

    def endpoint(self, **more: Any) -> str:
        body = {"url": "https://receiver.example/"} | more
        return str(self.post(self.person, "webhook-endpoints", body).json()["id"])

    def disabled_endpoint(self) -> Any:
        path = f"webhook-endpoints/{self.endpoint()}"
        self.person.patch(f"/api/v1/{path}", {"is_enabled": False}, format="json")
        return self.post(self.person, f"{path}/test")

    def empty_range(self) -> Any:
        path = f"webhook-endpoints/{self.endpoint()}/replay"
        return self.post(
            self.person, path, {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
        )

    def endpoint_too_many(self) -> Any:
        with override_settings(WEBHOOK_ENDPOINTS_MAX=0):
            return self.post(self.person, "webhook-endpoints", {"url": "https://receiver.example/"})

    def _as(self, user: User) -> APIClient:
        client = _client()
        client.force_authenticate(user)
        return client


def _client() -> APIClient:
    return APIClient(HTTP_ACCEPT_LANGUAGE="zh-hans")


UNKNOWN = uuid.UUID(int=1)
TRIGGERS = [
    Trigger("not_found", lambda w: w.anonymous.get("/api/v1/nothing")),
    Trigger("sandbox_only", lambda w: w.post(w.person, "sandbox/refill")),
    Trigger("sandbox_media_refused", lambda w: w.magic_media()),
    Trigger("not_authenticated", lambda w: w.anonymous.get("/api/v1/me")),
    Trigger("api_key_invalid", lambda w: w.with_key("ffk_live_nonsense").get("/api/v1/me")),
    Trigger("api_key_expired", lambda w: w.worn_out_key("expires_at").get("/api/v1/me")),
    Trigger("api_key_revoked", lambda w: w.worn_out_key("revoked_at").get("/api/v1/me")),
    Trigger(
        "sign_in_failed",
        lambda w: w.post(w.anonymous, "auth/token", {"username": "x", "password": "y"}),
    ),
    Trigger("token_invalid", lambda w: w.post(w.anonymous, "auth/token/refresh", {"refresh": "x"})),
    Trigger("method_not_allowed", lambda w: w.person.delete("/api/v1/me")),
    Trigger("invalid_request", lambda w: w.post(w.anonymous, "auth/token")),
    Trigger("scope_missing", lambda w: w.program.get("/api/v1/statement")),
    Trigger("role_required", lambda w: w.post(w.person, "users", {"username": "x"})),
    Trigger("key_cannot_manage_keys", lambda w: w.program.get("/api/v1/api-keys")),
    Trigger(
        "api_key_request_invalid",
        lambda w: w.post(
            w.person,
            "api-keys",
            {"name": "x", "scopes": ["jobs:read"], "expires_at": "2020-01-01T00:00:00Z"},
        ),
    ),
    Trigger("api_key_not_found", lambda w: w.person.delete(f"/api/v1/api-keys/{UNKNOWN}")),
    Trigger("user_not_found", lambda w: w.staff.get("/api/v1/users/nobody")),
    Trigger("user_exists", lambda w: w.post(w.staff, "users", {"user_ref": w.user.user_ref})),
    Trigger("user_ref_invalid", lambda w: w.post(w.staff, "users", {"user_ref": "white space"})),
    Trigger(
        "password_refused",
        lambda w: w.post(w.staff, "users", {"username": "x", "password": "12345"}),
    ),
    Trigger("idempotency_key_missing", lambda w: w.job()),
    Trigger("idempotency_key_invalid", lambda w: w.job(idempotency_key="x" * 256)),
    Trigger("idempotency_key_reused", lambda w: w.reused_key()),
    Trigger("quote_redeemed", lambda w: w.used_quote()),
    Trigger("quote_expired", lambda w: w.old_quote()),
    Trigger("insufficient_tokens", lambda w: w.too_dear()),
    Trigger("asset_not_found", lambda w: w.person.get(f"/api/v1/assets/{UNKNOWN}")),
    Trigger("quote_not_found", lambda w: w.person.get(f"/api/v1/quotes/{UNKNOWN}")),
    Trigger("job_not_found", lambda w: w.person.get(f"/api/v1/jobs/{UNKNOWN}")),
    Trigger("invalid_cursor", lambda w: w.person.get("/api/v1/statement?cursor=x")),
    Trigger(
        "recharge_batch_not_found", lambda w: w.staff.get(f"/api/v1/recharge-batches/{UNKNOWN}")
    ),
    Trigger("approval_not_found", lambda w: w.staff.get(f"/api/v1/approvals/{UNKNOWN}")),
    Trigger(
        "webhook_url_refused",
        lambda w: w.post(w.person, "webhook-endpoints", {"url": "https://127.0.0.1/"}),
    ),
    Trigger(
        "webhook_event_unknown",
        lambda w: w.post(
            w.person, "webhook-endpoints", {"url": "https://receiver.example/", "events": ["x"]}
        ),
    ),
    Trigger("webhook_endpoint_limit", lambda w: w.endpoint_too_many()),
    Trigger("webhook_endpoint_disabled", lambda w: w.disabled_endpoint()),
    Trigger("webhook_range_invalid", lambda w: w.empty_range()),
    Trigger(
        "webhook_endpoint_not_found",
        lambda w: w.person.get(f"/api/v1/webhook-endpoints/{UNKNOWN}"),
    ),
    Trigger(
        "webhook_delivery_not_found",
        lambda w: w.person.get(f"/api/v1/webhook-deliveries/{UNKNOWN}"),
    ),
    Trigger("webhook_event_not_found", lambda w: w.person.get(f"/api/v1/events/{UNKNOWN}")),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.code)
def test_a_real_request_is_refused_with_the_whole_document(trigger, settings):
    settings.RATELIMIT_ENABLE = False
    world = World()
    answer = trigger.send(world)

    error: type[DomainError] = next(e for e in CATALOGUE.values() if e.code == trigger.code)
    body = answer.json()
    assert (body["code"], answer.status_code) == (error.code, error.http_status), body
    assert answer["Content-Type"] == "application/problem+json"
    assert body["status"] == error.http_status
    assert body["retryable"] == error.retryable
    assert body["charged_tokens"] == 0
    assert body["request_id"]
    assert body["detail"]
    assert APIClient().get(body["type"].removeprefix(settings.PUBLIC_URL)).status_code == 200
    with translation.override("zh-hans"):
        assert body["title"] == str(error.title)
