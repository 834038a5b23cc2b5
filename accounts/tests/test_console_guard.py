"""Who gets into the console, and for how long."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from accounts import second_factor, services
from accounts.models import StepUpGrant
from accounts.tests import authenticators
from accounts.types import Role

PASSWORD = "calm-otter-4711"
CONSOLE = "/admin/"
FACTOR = "/second-factor/"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _guarded(settings):
    settings.CONSOLE_SECOND_FACTOR = True


@pytest.fixture
def auditor():
    return services.register_user(username="vera", password=PASSWORD, role=Role.AUDITOR)


def sign_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def age(client: Client, **by_s: int) -> None:
    """As if the clocks of the session had started so many seconds earlier."""
    session = client.session
    for name, seconds in by_s.items():
        session[name] -= seconds
    session.save()


def test_staff_without_a_second_factor_sets_one_up_before_the_console_opens(auditor):
    client = sign_in(auditor)
    wanted = reverse("admin:tokens_wallet_changelist")

    page = client.get(wanted, follow=True)
    ((address, _status),) = page.redirect_chain
    assert address == f"{FACTOR}?next=%2Fadmin%2Ftokens%2Fwallet%2F"
    assert "The console asks for a second factor." in page.content.decode()

    client.post(address, {"action": "enrol", "password": PASSWORD})
    code = authenticators.code_of(auditor)
    shown = client.post(address, {"action": "confirm", "code": f"{code[:3]} {code[3:]}"})
    text = shown.content.decode()
    assert len(re.findall(r"<code>[a-z2-7-]+</code>", text)) == 10
    assert f'href="{wanted}"' in text
    assert client.get(wanted).status_code == 200


def test_each_session_shows_the_second_factor_once(auditor):
    codes = authenticators.enrol(auditor)
    client = sign_in(auditor)
    asked = client.get(CONSOLE)
    assert asked.status_code == 302
    assert asked["Location"] == f"{FACTOR}?next=%2Fadmin%2F"

    proven = client.post(asked["Location"], {"action": "prove", "code": codes[0]})
    assert proven["Location"] == CONSOLE
    assert client.get(CONSOLE).status_code == 200
    # Much later, when the proof no longer does for money.
    StepUpGrant.objects.all().delete()
    assert client.get(CONSOLE).status_code == 200

    assert sign_in(auditor).get(CONSOLE).status_code == 302


def test_a_wrong_code_leaves_the_console_shut(auditor):
    authenticators.enrol(auditor)
    client = sign_in(auditor)
    refused = client.post(f"{FACTOR}?next={CONSOLE}", {"action": "prove", "code": "000000"})
    assert refused.status_code == 403
    assert client.get(CONSOLE).status_code == 302


def test_a_reset_factor_shuts_open_sessions_until_a_new_one_is_shown(auditor):
    codes = authenticators.enrol(auditor)
    client = sign_in(auditor)
    client.post(FACTOR, {"action": "prove", "code": codes[0]})
    assert client.get(CONSOLE).status_code == 200

    second_factor.reset(user_id=auditor.pk)
    assert client.get(CONSOLE).status_code == 302
    authenticators.enrol(auditor)
    assert client.get(CONSOLE).status_code == 302


def test_new_recovery_codes_replace_the_old_ones(auditor):
    old = authenticators.enrol(auditor)
    client = sign_in(auditor)
    refused = client.post(FACTOR, {"action": "renew"})
    assert refused.status_code == 403

    client.post(FACTOR, {"action": "prove", "code": old[0]})
    renewed = client.post(FACTOR, {"action": "renew"}).content.decode()
    new = re.findall(r"<code>([a-z2-7-]+)</code>", renewed)
    assert len(new) == 10
    assert not set(new) & set(old)
    assert client.post(FACTOR, {"action": "prove", "code": old[1]}).status_code == 403


@pytest.mark.parametrize(
    "older", [{"staff_seen_at": 901}, {"staff_signed_in_at": 28_801}], ids=["idle", "old"]
)
def test_sessions_of_staff_end(auditor, older):
    codes = authenticators.enrol(auditor)
    client = sign_in(auditor)
    client.post(FACTOR, {"action": "prove", "code": codes[0]})
    assert client.get(CONSOLE).status_code == 200

    age(client, **older)
    ended = client.get(CONSOLE)
    assert ended["Location"] == "/login/?next=%2Fadmin%2F&ended=1"
    assert "Your session has ended" in client.get(ended["Location"]).content.decode()
    assert client.get("/api/v1/me").status_code == 401


def test_a_session_in_use_goes_on_until_its_last_hour(auditor):
    codes = authenticators.enrol(auditor)
    client = sign_in(auditor)
    client.post(FACTOR, {"action": "prove", "code": codes[0]})
    for _quarter in range(3):
        age(client, staff_seen_at=800)
        assert client.get(CONSOLE).status_code == 200
    age(client, staff_signed_in_at=int(timedelta(hours=8, seconds=1).total_seconds()))
    assert client.get(CONSOLE).status_code == 302


def test_customers_are_asked_for_nothing_and_keep_their_sessions():
    user = services.register_user(username="mia", password=PASSWORD)
    client = sign_in(user)
    assert "staff_seen_at" not in client.session
    assert client.get("/studio/").status_code == 200


def test_a_person_switched_off_is_out_at_once(auditor):
    codes = authenticators.enrol(auditor)
    client = sign_in(auditor)
    client.post(FACTOR, {"action": "prove", "code": codes[0]})
    auditor.is_active = False
    auditor.save()
    assert client.get(CONSOLE)["Location"] == "/admin/login/?next=/admin/"


def test_an_account_is_guessed_at_only_so_often_from_whatever_address(settings, auditor):
    settings.LOGIN_RATE = "1000/h"
    settings.LOGIN_ACCOUNT_RATE = "2/h"
    attempt = {"username": "Vera", "password": "wrong"}
    for address in ("192.0.2.1", "192.0.2.2"):
        page = Client().post("/login/", attempt, REMOTE_ADDR=address)
        assert page.status_code == 200
    right = {"username": "vera", "password": PASSWORD}
    refused = Client().post("/login/", right, REMOTE_ADDR="192.0.2.3")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    program = Client().post(
        "/api/v1/auth/token", right, content_type="application/json", REMOTE_ADDR="192.0.2.4"
    )
    assert program.status_code == 429
    assert program.json()["code"] == "rate_limited"
    other = Client().post("/login/", {"username": "x", "password": "y"}, REMOTE_ADDR="192.0.2.3")
    assert other.status_code == 200
