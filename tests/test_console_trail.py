"""Every way in which the console changes a row leaves an audit event with before and after.

The walk over the registered screens finds the ways; one that is not proven here, or by the named
test of the service that records it, fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.cache import cache
from django.urls import reverse

from accounts import services
from accounts.models import ApiKey, User, WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.tests.authenticators import code_of, enrol
from accounts.types import Role
from facefusion_site.common.trail import SECRET_FIELDS, AuditedMixin, record_row, state_of
from inference.tests import factories
from tokens.models import AuditEvent

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "calm-otter-4711"
# Screens whose service writes the event: the test that sees it written.
BY_SERVICE = {
    "tokens.ExportJob order": "tokens/tests/test_export_jobs.py",
    "tokens.Wallet freeze": "tokens/tests/test_wallets.py",
    "tokens.Wallet unfreeze": "tokens/tests/test_wallets.py",
    "tokens.Wallet close": "tokens/tests/test_wallets.py",
    "tokens.Wallet adjust": "tokens/tests/test_adjustments.py",
    "tokens.ApprovalPolicy add": "tokens/tests/test_approval_policies.py",
    "tokens.ApprovalPolicy change": "tokens/tests/test_approval_policies.py",
    "tokens.RateCard add": "tokens/tests/test_rate_cards.py",
    "tokens.PriceTick curve": "tokens/tests/test_rate_cards.py",
    "tokens.RechargeBatch pause": "tokens/tests/test_recharge_batches.py",
    "inference.Worker drain": "inference/tests/test_workers.py",
    "inference.Worker resume": "inference/tests/test_workers.py",
    "tokens.RechargeBatch resume": "tokens/tests/test_recharge_batches.py",
    "tokens.RechargeBatch stop": "tokens/tests/test_recharge_batches.py",
    "tokens.RechargeBatch retry": "tokens/tests/test_recharge_batches.py",
    "tokens.RechargeBatch reverse": "tokens/tests/test_recharge_batches.py",
    "tokens.UserSegment new_segment": "tokens/tests/test_drafts.py",
    "tokens.UserSegment retire": "tokens/tests/test_drafts.py",
    "tokens.PlanRule add": "tokens/tests/test_plan_cycles.py",
    "trust.Takedown uphold": "tests/trust/test_takedowns.py",
    "trust.Takedown reject": "tests/trust/test_takedowns.py",
    **{
        f"risk.RiskDecision {way}": "tests/risk/test_decisions.py"
        for way in ("lift", "judge", "answer_appeal")
    },
    **{
        f"risk.RiskRule {way}": "tests/risk/test_sweeps.py"
        for way in ("add", "backtest", "activate", "retire")
    },
    **{
        f"productions.Production {way}": "tests/productions/test_life.py"
        for way in ("fund", "start", "retry", "finish", "cancel")
    },
    # Campaigns and rewards share the services that write their events.
    **{
        f"promotions.{model} {way}": "tests/promotions/test_admin.py"
        for model in ("Campaign", "RewardRule")
        for way in ("add", "preview", "activate", "run", "end")
    },
}
# Buttons that lead to a page and change nothing.
LINKS = {
    "accounts.User customer",
    "accounts.User recharge_users",
    "inference.JobMeter calibration",
    "inference.JobMeter effect",
    "productions.Production report",
    "tokens.MonthClose exports",
    "tokens.RechargeBatch new_recharge",
}


@pytest.fixture
def boss(client, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    user = factories.make_user(role=Role.ADMIN)
    enrol(user)
    client.force_login(user)
    client.post(reverse("second-factor"), {"action": "prove", "code": code_of(user)})
    yield user
    cache.clear()


@pytest.fixture
def person():
    return services.register_user(username="mia", password=PASSWORD, user_ref="mia-1")


def ways(client, boss, rf) -> set[str]:
    """Each way to change something that a screen offers to an administrator."""
    request = rf.get("/admin/")
    request.user, request.session = boss, client.session
    found: set[str] = set()
    for model, screen in admin.site._registry.items():
        names: list[Any] = [
            name
            for name in ("add", "change", "delete")
            if getattr(screen, f"has_{name}_permission")(request)
        ]
        names += [getattr(one, "__name__", one) for one in screen.actions or ()]
        for kind in ("list", "detail", "row", "submit_line"):
            names += getattr(screen, f"actions_{kind}")
        found |= {f"{model._meta.label} {name}" for name in names}
    return found


def act(client, model, action, *rows):
    url = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")
    body = {"action": action, ACTION_CHECKBOX_NAME: [str(row.pk) for row in rows]}
    answer = client.post(url, body | {"confirmed": "yes"})
    assert answer.status_code == 302, answer.content.decode()[:500]


def add_user(client, _person):
    body = {"username": "new", "user_ref": "new-1", "role": "USER", "plan": "free", "email": ""}
    body |= {"time_zone": "UTC", "usable_password": "true"}
    body |= {"password1": PASSWORD, "password2": PASSWORD}
    assert client.post(reverse("admin:accounts_user_add"), body).status_code == 302
    return f"user:{User.objects.get(username='new').user_ref}", {"plan": (None, "free")}


def change_user(client, person):
    url = reverse("admin:accounts_user_change", args=[person.pk])
    body = {"username": "mia", "role": "OPERATOR", "plan": "vip", "time_zone": "UTC"}
    body |= {"email": "", "first_name": "", "last_name": ""}
    body |= {"-1-TOTAL_FORMS": "0", "-1-INITIAL_FORMS": "0"}
    assert client.post(url, body).status_code == 302
    changes = {"role": ("USER", "OPERATOR"), "plan": ("free", "vip"), "is_active": (True, False)}
    return "user:mia-1", changes


def change_password(client, person):
    url = reverse("admin:auth_user_password_change", args=[person.pk])
    body = {"password1": PASSWORD + "-new", "password2": PASSWORD + "-new"}
    body |= {"usable_password": "true"}
    assert client.post(url, body).status_code == 302
    return "user:mia-1", {"password": None}


def issue_key(client, person):
    url = reverse("admin:accounts_user_issue_key", args=[person.pk])
    answer = client.post(url, {"name": "shop", "scopes": ["jobs:read"]})
    key = ApiKey.objects.get(name="shop")
    assert key.key_hash not in str(AuditEvent.objects.latest("pk").after)
    assert answer.status_code == 200
    return f"api_key:{key.pk}", {"scopes": (None, ["jobs:read"])}


def revoke_key(client, person):
    issued = services.issue_api_key(user_id=person.pk, name="old", scopes=["jobs:read"])
    key = ApiKey.objects.get(pk=issued.id)
    act(client, ApiKey, "revoke", key)
    return f"api_key:{key.pk}", {"revoked_at": None}


def endpoint_of(person):
    return WebhookEndpoint.objects.create(
        user=person, url="https://hooks.example.com/", events=["*"], secret="sealed"
    )


def switch_endpoint_off(client, person):
    endpoint = endpoint_of(person)
    act(client, WebhookEndpoint, "switch_off", endpoint)
    return f"webhook_endpoint:{endpoint.pk}", {"status": ("ACTIVE", "DISABLED")}


def resend(client, person):
    event = WebhookEvent.objects.create(user=person, type="webhook.test", data={})
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint_of(person), event=event, status="FAILED", finished_at="2020-01-01T00:00Z"
    )
    act(client, WebhookDelivery, "resend", delivery)
    return f"webhook_delivery:{delivery.pk}", {"status": ("FAILED", "PENDING")}


def of_job(action, status):
    def drive(client, _person):
        job = factories.make_job(owner_id=factories.make_user(tokens=5).pk)
        act(client, type(job), action, job)
        return f"swap_job:{job.pk}", {"status": ("QUEUED", status)} if status else {}

    return drive


PROVEN = {
    "accounts.User add": add_user,
    "accounts.User change": change_user,
    "accounts.User password": change_password,
    "accounts.User issue_key": issue_key,
    "accounts.ApiKey revoke": revoke_key,
    "accounts.WebhookEndpoint switch_off": switch_endpoint_off,
    "accounts.WebhookDelivery resend": resend,
    "inference.SwapJob requeue": of_job("requeue", ""),
    "inference.SwapJob cancel": of_job("cancel", "CANCELED"),
    "inference.SwapJob stop_and_refund": of_job("stop_and_refund", "FAILED"),
}


def test_every_way_to_change_something_is_known(client, boss, rf):
    known = {*PROVEN, *BY_SERVICE, *LINKS} - {"accounts.User password"}
    found = ways(client, boss, rf)
    assert found == known - LINKS | found & LINKS
    # None of these is only a name.
    for path in set(BY_SERVICE.values()):
        assert "AuditEvent" in (ROOT / path).read_text(), path


@pytest.mark.parametrize("way", PROVEN)
def test_it_leaves_before_and_after(client, boss, person, way):
    known = set(AuditEvent.objects.values_list("pk", flat=True))
    subject, changes = PROVEN[way](client, person)
    new = AuditEvent.objects.exclude(pk__in=known).filter(subject=subject)
    if not changes:
        return
    event = new.get()
    assert event.after is not None
    assert event.actor == boss
    assert event.request_id
    for name, expected in changes.items():
        before = None if event.before is None else event.before[name]
        assert before != event.after[name]
        if expected is not None:
            assert (before, event.after[name]) == expected
    text = f"{event.before} {event.after}"
    assert PASSWORD not in text
    assert "pbkdf2" not in text
    assert "sealed" not in text


def test_every_screen_tells_the_trail_what_it_tells_the_history():
    for model, screen in admin.site._registry.items():
        assert isinstance(screen, AuditedMixin), model
        told = ("log_addition", "log_change", "log_deletions")
        home = AuditedMixin.__module__
        own = [name for name in told if getattr(type(screen), name).__module__ != home]
        # Saving a policy proposes it and saving a plan's rule adds one: their services record it.
        assert not own or f"{model._meta.label} add" in BY_SERVICE, (model, own)


def test_no_column_of_a_screen_that_looks_like_a_secret_is_kept(person):
    for model in admin.site._registry:
        names = {field.attname for field in model._meta.concrete_fields}
        secret = {n for n in names if n.endswith(("password", "secret", "_hash"))}
        assert secret - {"previous_hash"} <= SECRET_FIELDS, model
    state = state_of(person)
    assert state["password"].startswith("sha256:")
    assert state["user_ref"] == "mia-1"


def test_nothing_is_recorded_where_nothing_changed(person):
    state = state_of(person)
    record_row(actor_id=None, row=person, before=state, after=state)
    assert not AuditEvent.objects.exists()
    record_row(actor_id=None, row=person, before=state, after=None)
    assert AuditEvent.objects.get().action == "user.deleted"
