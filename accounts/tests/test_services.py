"""Accounts without HTTP."""

from __future__ import annotations

import io
import re
import zlib

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from accounts import keys, selectors, services
from accounts.errors import UserExistsError, UserNotFoundError
from accounts.models import ApiKey, User, generate_user_ref
from accounts.types import ROLE_SCOPES, USER_REF_PATTERN, Role


def register(name, **extra):
    return services.register_user(username=name, password=None, user_ref=name, **extra)


def test_generated_references_match_the_pattern():
    refs = {generate_user_ref() for _ in range(100)}
    assert len(refs) == 100
    assert all(len(ref) == 26 and re.fullmatch(USER_REF_PATTERN, ref) for ref in refs)


def test_generated_keys_are_well_formed_and_distinct():
    made = {keys.generate() for _ in range(100)}
    assert len(made) == 100
    assert all(keys.is_well_formed(key) and len(key) == 47 for key in made)


def test_the_checksum_is_crc32_in_base62():
    key = keys.generate()
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value = 0
    for letter in key[-6:]:
        value = value * 62 + digits.index(letter)
    assert value == zlib.crc32(key[:-6].encode())


@given(st.integers(min_value=0, max_value=46), st.characters(min_codepoint=33, max_codepoint=126))
def test_any_single_mistyped_character_is_caught(position, letter):
    key = "ffk_live_" + "a" * 32
    key += keys._checksum(key)
    typo = key[:position] + letter + key[position + 1 :]
    assert keys.is_well_formed(typo) is (typo == key)


@pytest.mark.django_db
def test_references_resolve_in_one_query_active_users_only(django_assert_num_queries):
    ann, bob = register("ann"), register("bob")
    User.objects.filter(pk=bob.pk).update(is_active=False)
    with django_assert_num_queries(1):
        found = selectors.user_ids_by_ref(refs=["ann", "bob", "nobody", "bad\x00ref"])
    assert found == {"ann": ann.pk}
    assert selectors.user_refs(ids=[ann.pk, bob.pk]) == {ann.pk: "ann", bob.pk: "bob"}


@pytest.mark.django_db
def test_a_refused_registration_leaves_the_callers_transaction_usable():
    with transaction.atomic():
        register("ann")
        with pytest.raises(UserExistsError):
            register("ann")
        register("bob")
    assert User.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "is_staff", "is_superuser"),
    [(Role.USER, False, False), (Role.OPERATOR, True, False), (Role.ADMIN, True, True)],
)
def test_staff_flags_follow_the_role(role, is_staff, is_superuser):
    user = register("ann")
    services.set_role(user_id=user.pk, role=role)
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (is_staff, is_superuser)


@pytest.mark.django_db
def test_the_database_refuses_flags_that_contradict_the_role():
    user = register("ann")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_superuser=True, is_staff=True)


@pytest.mark.django_db
def test_the_database_refuses_a_malformed_reference():
    user = register("ann")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=user.pk).update(user_ref="not ok")


@pytest.mark.django_db
def test_operators_look_but_do_not_touch():
    operator = register("ops", role=Role.OPERATOR)
    assert operator.has_perm("accounts.view_user")
    assert not operator.has_perm("accounts.change_user")
    assert not register("mia").has_perm("accounts.view_user")


@pytest.mark.django_db
def test_createsuperuser_makes_an_administrator():
    call_command("createsuperuser", "--noinput", username="root", email="root@example.org")
    assert User.objects.get(username="root").role == Role.ADMIN


@pytest.mark.django_db
def test_the_command_prints_a_working_key_and_nothing_else():
    user = register("ann")
    out = io.StringIO()
    call_command("issue_api_key", "ann", "--days", "30", stdout=out)
    key = out.getvalue().strip()
    row = selectors.api_key_by_hash(key_hash=keys.digest(key))
    assert row is not None
    assert row.user == user
    assert set(row.scopes) == ROLE_SCOPES[Role.USER]
    assert row.expires_at is not None


@pytest.mark.django_db
def test_the_command_explains_an_unknown_user():
    with pytest.raises(CommandError, match="user_not_found"):
        call_command("issue_api_key", "nobody")
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
def test_a_switched_off_user_gets_no_key():
    user = register("ann")
    User.objects.update(is_active=False)
    with pytest.raises(UserNotFoundError):
        services.issue_api_key(user_id=user.pk, name="k", scopes=["jobs:read"])
