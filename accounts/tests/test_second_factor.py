from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import second_factor, services
from accounts.errors import (
    SecondFactorExistsError,
    SecondFactorMissingError,
    StepUpRefusedError,
    StepUpThrottledError,
    UserNotFoundError,
)
from accounts.models import Authenticator, RecoveryCode, StepUpGrant
from accounts.tests.authenticators import code_of, enrol, forget_used_codes
from accounts.types import Role, Scope

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "a-long-test-password"


def make_operator(name="olga"):
    return services.register_user(
        username=name, password=PASSWORD, user_ref=name, role=Role.OPERATOR
    )


def signed_in(user) -> APIClient:
    """A person with an access token."""
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return api


def post(api, path, **body):
    return api.post(f"/api/v1/{path}", body, format="json")


def test_a_person_enrols_over_the_api():
    user = make_operator()
    api = signed_in(user)
    assert api.get("/api/v1/second-factor").data["is_enrolled"] is False
    refused = post(api, "second-factor", password="wrong")
    assert (refused.status_code, refused.data["code"]) == (401, "sign_in_failed")
    started = post(api, "second-factor", password=PASSWORD)
    assert started.status_code == 201
    assert started["Cache-Control"] == "no-store"
    assert started.data["url"].startswith("otpauth://totp/")
    assert started.data["secret"] in started.data["url"]
    # Not before the first code came back.
    assert post(api, "step-up", code=code_of(user)).data["code"] == "second_factor_missing"
    confirmed = post(api, "second-factor/confirm", code=code_of(user))
    assert confirmed.status_code == 200, confirmed.data
    assert len(set(confirmed.data["recovery_codes"])) == 10
    state = api.get("/api/v1/second-factor").data
    assert state == {"is_enrolled": True, "recovery_codes_left": 10, "proven_until": None}
    again = post(api, "second-factor", password=PASSWORD)
    assert (again.status_code, again.data["code"]) == (409, "second_factor_exists")


def test_an_api_key_has_no_second_factor():
    user = make_operator()
    issued = services.issue_api_key(user_id=user.pk, name="k", scopes=[Scope.APPROVALS_READ])
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    for path in ("second-factor", "second-factor/confirm", "step-up"):
        assert post(api, path).data["code"] == "key_cannot_manage_keys"


def test_a_proof_counts_for_its_access_token_alone():
    user = make_operator()
    enrol(user)
    api, other = signed_in(user), signed_in(user)
    assert post(api, "step-up", code=code_of(user)).status_code == 200
    assert api.get("/api/v1/second-factor").data["proven_until"] is not None
    assert other.get("/api/v1/second-factor").data["proven_until"] is None
    StepUpGrant.objects.update(proven_at=StepUpGrant.objects.get().proven_at - timedelta(minutes=5))
    assert api.get("/api/v1/second-factor").data["proven_until"] is None


def test_a_proof_counts_for_its_session_until_the_next_sign_in():
    user = make_operator()
    enrol(user)
    browser = Client()
    browser.force_login(user)
    reply = browser.post(
        "/api/v1/step-up", {"code": code_of(user)}, content_type="application/json"
    )
    assert reply.status_code == 200, reply.content
    assert browser.get("/api/v1/second-factor").json()["proven_until"] is not None
    browser.logout()
    browser.force_login(user)
    assert browser.get("/api/v1/second-factor").json()["proven_until"] is None


def test_a_code_works_once():
    user = make_operator()
    enrol(user)
    code = code_of(user)
    second_factor.prove(user_id=user.pk, code=code, credential=None)
    with pytest.raises(StepUpRefusedError):
        second_factor.prove(user_id=user.pk, code=code, credential=None)
    assert StepUpGrant.objects.count() == 0


def test_the_enrolment_code_does_not_prove_as_well():
    user = make_operator()
    second_factor.start_enrolment(user_id=user.pk)
    code = code_of(user)
    second_factor.confirm_enrolment(user_id=user.pk, code=code)
    with pytest.raises(StepUpRefusedError):
        second_factor.prove(user_id=user.pk, code=code, credential=None)


def test_of_many_requests_with_one_code_one_is_believed():
    user = make_operator()
    enrol(user)
    code, barrier = code_of(user), Barrier(6)

    def prove(_number: int) -> bool:
        try:
            barrier.wait()
            second_factor.prove(user_id=user.pk, code=code, credential=None)
        except (StepUpRefusedError, StepUpThrottledError):
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(max_workers=6) as pool:
        assert sum(pool.map(prove, range(6))) == 1


def test_wrong_codes_make_the_next_try_wait():
    user = make_operator()
    enrol(user)
    with pytest.raises(StepUpRefusedError):
        second_factor.prove(user_id=user.pk, code=code_of(user, steps=20), credential=None)
    # The right code is refused too while the wait lasts, recovery codes alike.
    with pytest.raises(StepUpThrottledError) as caught:
        second_factor.prove(user_id=user.pk, code=code_of(user), credential=None)
    assert caught.value.context["retry_after_s"] == 1
    with pytest.raises(StepUpThrottledError):
        second_factor.prove(user_id=user.pk, code="aaaa-bbbb-cccc-dddd", credential=None)
    time.sleep(1.1)
    second_factor.prove(user_id=user.pk, code=code_of(user), credential=None)
    assert Authenticator.objects.get(user=user).throttling_failure_count == 0


def test_tries_are_limited_over_the_api(settings):
    settings.STEP_UP_RATE = "2/h"
    user = make_operator()
    enrol(user)
    api = signed_in(user)
    post(api, "step-up", code="000000")
    post(api, "step-up", code="000000")
    refused = post(api, "step-up", code=code_of(user))
    assert (refused.status_code, refused.data["code"]) == (429, "rate_limited")
    assert int(refused["Retry-After"]) > 0


def test_a_recovery_code_works_once():
    user = make_operator()
    codes = enrol(user)
    second_factor.prove(user_id=user.pk, code=codes[0].upper(), credential="token:x")
    assert second_factor.proven_at(user_id=user.pk, credential="token:x") is not None
    assert second_factor.state(user_id=user.pk).recovery_codes_left == 9
    with pytest.raises(StepUpRefusedError):
        second_factor.prove(user_id=user.pk, code=codes[0], credential=None)
    stored = RecoveryCode.objects.values_list("code_hash", flat=True)
    assert not {code.replace("-", "") for code in codes} & set(stored)


def test_recovery_codes_are_renewed_with_a_fresh_second_factor():
    user = make_operator()
    old = enrol(user)
    api = signed_in(user)
    refused = post(api, "second-factor/recovery-codes")
    assert (refused.status_code, refused.data["code"]) == (403, "step_up_required")
    renewed = api.post(
        "/api/v1/second-factor/recovery-codes", headers={"X-Step-Up-Code": code_of(user)}
    )
    assert renewed.status_code == 200, renewed.data
    with pytest.raises(StepUpRefusedError):
        second_factor.prove(user_id=user.pk, code=old[0], credential=None)
    time.sleep(1.1)
    second_factor.prove(user_id=user.pk, code=renewed.data["recovery_codes"][0], credential=None)


def test_a_recovery_code_of_another_person_is_worthless():
    olga, pavel = make_operator("olga"), make_operator("pavel")
    codes = enrol(olga)
    enrol(pavel)
    with pytest.raises(StepUpRefusedError):
        second_factor.prove(user_id=pavel.pk, code=codes[0], credential=None)
    assert second_factor.state(user_id=olga.pk).recovery_codes_left == 10


def test_enrolment_refuses_a_second_device_and_unknown_people():
    user = make_operator()
    first = second_factor.start_enrolment(user_id=user.pk)
    assert second_factor.start_enrolment(user_id=user.pk).secret != first.secret
    assert first.secret not in repr(first)
    with pytest.raises(StepUpRefusedError):
        second_factor.confirm_enrolment(user_id=user.pk, code=code_of(user, steps=20))
    time.sleep(1.1)
    second_factor.confirm_enrolment(user_id=user.pk, code=code_of(user))
    with pytest.raises(SecondFactorExistsError):
        second_factor.start_enrolment(user_id=user.pk)
    with pytest.raises(SecondFactorMissingError):
        second_factor.confirm_enrolment(user_id=user.pk, code=code_of(user))
    with pytest.raises(UserNotFoundError):
        second_factor.start_enrolment(user_id=0)


def test_the_command_enrols_confirms_and_resets(capsys):
    user = make_operator()
    call_command("second_factor", user.user_ref)
    assert capsys.readouterr().out.startswith("otpauth://totp/")
    call_command("second_factor", user.user_ref, confirm=code_of(user))
    assert len(capsys.readouterr().out.split()) == 10
    with pytest.raises(CommandError, match="second_factor_exists"):
        call_command("second_factor", user.user_ref)
    call_command("second_factor", user.user_ref, reset=True)
    assert second_factor.state(user_id=user.pk).is_enrolled is False
    assert RecoveryCode.objects.count() == 0


def test_the_console_does_not_show_secrets(admin_client):
    assert admin_client.get("/admin/otp_totp/totpdevice/").status_code == 404


def test_the_page_enrols_and_proves(client):
    assert client.get("/second-factor/").status_code == 302
    user = make_operator()
    client.force_login(user)
    refused = client.post("/second-factor/", {"action": "enrol", "password": "wrong"})
    assert refused.status_code == 401
    started = client.post("/second-factor/", {"action": "enrol", "password": PASSWORD})
    assert "otpauth://totp/" in started.content.decode()
    assert started["Cache-Control"] == "no-store"
    confirmed = client.post("/second-factor/", {"action": "confirm", "code": code_of(user)})
    assert confirmed.content.decode().count("<li><code>") == 10
    forget_used_codes(user)
    proven = client.post(
        "/second-factor/", {"action": "prove", "code": code_of(user), "next": "https://evil.test/"}
    )
    assert (proven.status_code, proven["Location"]) == (302, "/second-factor/")
    assert client.get("/api/v1/second-factor").json()["proven_until"] is not None
    again = client.post("/second-factor/", {"action": "prove", "code": code_of(user)})
    assert again.status_code == 403


def test_staff_see_others_by_the_api_once_they_have_shown_their_factor(client, settings):
    settings.CONSOLE_SECOND_FACTOR = True
    user = make_operator()
    client.force_login(user)
    wallets = "/api/v1/wallets/nobody"

    def refusal(reply) -> tuple[int, str]:
        return reply.status_code, reply.json()["code"]

    assert refusal(client.get(wallets)) == (403, "second_factor_missing")
    enrol(user)
    assert refusal(client.get(wallets)) == (403, "step_up_required")
    assert client.get("/api/v1/balance").status_code == 200
    forget_used_codes(user)
    # The same code serves the door and what lies behind it, and opens the session for the rest.
    opened = client.get(wallets, headers={"X-Step-Up-Code": code_of(user)})
    assert refusal(opened) == (404, "user_not_found")
    assert refusal(client.get(wallets)) == (404, "user_not_found")

    signed_in = client.post(
        "/api/v1/auth/token",
        {"username": user.username, "password": PASSWORD},
        content_type="application/json",
    )
    bearer = {"Authorization": f"Bearer {signed_in.json()['access']}"}
    client.logout()
    assert refusal(client.get(wallets, headers=bearer)) == (403, "step_up_required")
    forget_used_codes(user)
    proof = bearer | {"X-Step-Up-Code": code_of(user)}
    assert refusal(client.get(wallets, headers=proof)) == (404, "user_not_found")
    assert refusal(client.get(wallets, headers=bearer)) == (404, "user_not_found")
