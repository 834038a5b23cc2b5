"""Secrets of authenticators at rest: encrypted, bound to their owner, under keys that change."""

from __future__ import annotations

import importlib
import json

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import factor_secrets, second_factor, services
from accounts.errors import SecondFactorUnreadableError
from accounts.models import Authenticator
from accounts.tests.authenticators import code_of, enrol
from accounts.types import Role

OLD, NEW = "an-old-key-" * 6, "a-newer-key-" * 6
SECRET = bytes(range(20))


def make_operator(name="olga"):
    return services.register_user(
        username=name, password="a-long-test-password", user_ref=name, role=Role.OPERATOR
    )


@pytest.fixture
def keys(settings):
    def use(*values: str) -> None:
        settings.FACTOR_SECRET_KEYS = list(values)

    use(OLD)
    return use


def test_a_sealed_secret_opens_for_its_owner_alone(keys):
    text = factor_secrets.seal(secret=SECRET, user_id=7)
    assert len(text) <= TOTPDevice._meta.get_field("key").max_length
    assert factor_secrets.unseal(text=text, user_id=7) == SECRET
    with pytest.raises(SecondFactorUnreadableError):
        factor_secrets.unseal(text=text, user_id=8)


def test_the_same_secret_is_never_sealed_the_same_way_twice(keys):
    texts = {factor_secrets.seal(secret=SECRET, user_id=7) for _ in range(20)}
    assert len(texts) == 20
    assert not any(SECRET.hex() in text for text in texts)


def test_a_secret_opens_under_every_key_of_the_list_and_is_sealed_under_the_first(keys):
    old = factor_secrets.seal(secret=SECRET, user_id=7)
    assert factor_secrets.is_current(text=old)
    keys(NEW, OLD)
    assert not factor_secrets.is_current(text=old)
    assert factor_secrets.unseal(text=old, user_id=7) == SECRET
    new = factor_secrets.seal(secret=SECRET, user_id=7)
    keys(NEW)
    assert factor_secrets.unseal(text=new, user_id=7) == SECRET
    with pytest.raises(SecondFactorUnreadableError):
        factor_secrets.unseal(text=old, user_id=7)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: SECRET.hex(),
        lambda text: "",
        lambda text: text.replace("g1.", "g2."),
        lambda text: text[:-4],
        lambda text: text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB"),
        lambda text: text[:30] + "!" + text[31:],
        lambda text: text + ".x",
    ],
)
def test_what_was_changed_or_is_plain_does_not_open(keys, spoil):
    text = factor_secrets.seal(secret=SECRET, user_id=7)
    with pytest.raises(SecondFactorUnreadableError):
        factor_secrets.unseal(text=spoil(text), user_id=7)


def test_a_secret_that_does_not_fit_the_column_is_refused(keys):
    with pytest.raises(ValueError, match="at most 20 bytes"):
        factor_secrets.seal(secret=bytes(21), user_id=7)


@pytest.mark.django_db(transaction=True)
def test_the_database_never_sees_the_secret_and_the_app_s_codes_are_right():
    user = make_operator()
    started = second_factor.start_enrolment(user_id=user.pk)
    device = Authenticator.objects.get(user=user)
    assert device.bin_key.hex() not in device.key
    assert len(device.bin_key) == 20
    assert started.secret in started.url
    second_factor.confirm_enrolment(user_id=user.pk, code=code_of(user))
    # Confirming saves the whole row, and must not put the secret into it.
    assert factor_secrets.is_current(text=Authenticator.objects.get(user=user).key)


@pytest.mark.django_db(transaction=True)
def test_a_secret_that_was_copied_to_another_account_proves_nothing():
    olga, pavel = make_operator("olga"), make_operator("pavel")
    enrol(olga)
    enrol(pavel)
    code = code_of(olga)
    Authenticator.objects.filter(user=pavel).update(key=Authenticator.objects.get(user=olga).key)
    with pytest.raises(SecondFactorUnreadableError):
        second_factor.prove(user_id=pavel.pk, code=code, credential=None)
    assert Authenticator.objects.get(user=pavel).throttling_failure_count == 0


@pytest.mark.django_db(transaction=True)
def test_the_page_says_what_to_do_when_the_key_is_missing(client, keys):
    user = make_operator()
    codes = enrol(user)
    code = code_of(user)
    keys(NEW)
    client.force_login(user)
    refused = client.post("/api/v1/step-up", {"code": code}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (503, "second_factor_unreadable")
    # Recovery codes do not need the secret.
    assert second_factor.prove(user_id=user.pk, code=codes[0], credential=None)


@pytest.mark.django_db(transaction=True)
def test_the_command_brings_every_secret_under_the_newest_key(keys, capsys):
    olga, pavel = make_operator("olga"), make_operator("pavel")
    enrol(olga)
    secret = Authenticator.objects.get(user=olga).bin_key
    keys(NEW, OLD)
    enrol(pavel)
    call_command("reencrypt_second_factors", "--dry-run", "--json")
    assert json.loads(capsys.readouterr().out) == {
        "total": 2, "changed": 1, "unreadable": [], "dry_run": True,
    }  # fmt: skip
    assert not factor_secrets.is_current(text=Authenticator.objects.get(user=olga).key)
    call_command("reencrypt_second_factors")
    assert "1 of 2 authenticators were encrypted" in capsys.readouterr().out
    call_command("reencrypt_second_factors")
    assert "0 of 2 authenticators were encrypted" in capsys.readouterr().out
    keys(NEW)
    assert Authenticator.objects.get(user=olga).bin_key == secret
    second_factor.prove(user_id=olga.pk, code=code_of(olga), credential=None)


@pytest.mark.django_db(transaction=True)
def test_the_command_names_who_has_to_enrol_again(keys, capsys):
    enrol(make_operator("olga"))
    stored = Authenticator.objects.get().key
    keys(NEW)
    with pytest.raises(SystemExit) as stopped:
        call_command("reencrypt_second_factors")
    assert stopped.value.code == 1
    assert "olga" in capsys.readouterr().err
    assert Authenticator.objects.get().key == stored


@pytest.mark.django_db(transaction=True)
def test_the_migration_encrypts_plain_rows_and_takes_it_back():
    migration = importlib.import_module("accounts.migrations.0004_encrypted_factors")
    olga, pavel = make_operator("olga"), make_operator("pavel")
    enrol(pavel)
    stored = Authenticator.objects.get(user=pavel).key
    TOTPDevice.objects.create(user=olga, name="authenticator", key=SECRET.hex())
    for _run in range(2):
        with connection.schema_editor() as editor:
            migration.encrypt(apps, editor)
    assert Authenticator.objects.get(user=olga).bin_key == SECRET
    assert Authenticator.objects.get(user=pavel).key == stored
    second_factor.prove(user_id=olga.pk, code=f"{totp(SECRET):06d}", credential=None)
    with connection.schema_editor() as editor:
        migration.decrypt(apps, editor)
    assert TOTPDevice.objects.get(user=olga).bin_key == SECRET
    with connection.schema_editor() as editor:
        migration.encrypt(apps, editor)
