"""The console's screens of users and keys."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from accounts import keys, services
from accounts.models import ApiKey, User
from accounts.types import Role

PASSWORD = "calm-otter-4711"


@pytest.fixture
def boss(client, db):
    user = services.register_user(username="boss", password=PASSWORD, role=Role.ADMIN)
    client.force_login(user)
    return user


@pytest.fixture
def user(db):
    return services.register_user(username="mia", password=PASSWORD, user_ref="mia-1")


def test_the_console_sends_visitors_to_the_one_sign_in_page(client, db):
    page = client.get("/admin/", follow=True)
    assert page.redirect_chain[-1][0] == "/login/?next=%2Fadmin%2F"
    assert page.status_code == 200


def test_a_plain_user_is_told_that_the_console_is_not_for_them(client, user):
    client.force_login(user)
    page = client.get("/admin/", follow=True)
    assert "You are signed in as mia" in page.content.decode()


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN])
def test_roles_are_given_to_others_and_never_to_oneself(client, db, user, role):
    giver = services.register_user(username="olga", password=PASSWORD, role=role)
    client.force_login(giver)
    fields = {"email": "", "plan": "free", "is_active": "on", "role": "APPROVER"}
    fields |= {"time_zone": "UTC", "first_name": "", "last_name": ""}
    fields |= {"-1-TOTAL_FORMS": "0", "-1-INITIAL_FORMS": "0"}
    for one in (user, giver):
        page = reverse("admin:accounts_user_change", args=[one.pk])
        answer = client.post(page, fields | {"username": one.username})
        assert answer.status_code == 302, answer.content
        one.refresh_from_db()
    assert (user.role, user.is_staff, user.is_superuser) == (Role.APPROVER, True, False)
    assert giver.role == role


def test_staff_without_the_duty_change_no_accounts(client, db, user):
    for role in (Role.OPERATOR, Role.SUPPORT, Role.AUDITOR):
        client.force_login(services.register_user(username=role, password=None, role=role))
        page = reverse("admin:accounts_user_change", args=[user.pk])
        assert client.get(page).status_code == 200
        assert client.post(page, {"username": "mia", "role": "ADMIN"}).status_code == 403
        assert client.get(reverse("admin:accounts_user_add")).status_code == 403
        keys_page = reverse("admin:accounts_user_issue_key", args=[user.pk])
        assert client.get(keys_page).status_code == 403
    user.refresh_from_db()
    assert user.role == Role.USER


def test_users_are_listed_and_found_by_reference(client, boss, user):
    page = client.get(reverse("admin:accounts_user_changelist"), {"q": "mia-1"})
    assert "mia-1" in page.content.decode()
    assert boss.user_ref not in page.content.decode()


def test_an_account_is_created_with_flags_that_follow_its_role(client, boss):
    answer = client.post(
        reverse("admin:accounts_user_add"),
        {
            "username": "ops",
            "user_ref": "ops-1",
            "role": "OPERATOR",
            "plan": "enterprise",
            "email": "",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )
    made = User.objects.get(username="ops")
    assert answer.status_code == 302
    assert (made.is_staff, made.is_superuser, made.plan) == (True, False, "enterprise")
    assert made.check_password(PASSWORD)


def test_changing_the_role_changes_the_flags_and_keeps_the_reference(client, boss, user):
    url = reverse("admin:accounts_user_change", args=[user.pk])
    page = client.get(url).content.decode()
    assert "mia-1" in page
    body = {"username": "mia", "user_ref": "forged", "is_active": "on"}
    body |= {"role": "OPERATOR", "plan": "vip", "time_zone": "UTC"}
    answer = client.post(url, body | {"-1-TOTAL_FORMS": "0", "-1-INITIAL_FORMS": "0"})
    user.refresh_from_db()
    assert answer.status_code == 302
    assert (user.role, user.is_staff, user.user_ref) == (Role.OPERATOR, True, "mia-1")
    assert user.plan == "vip"


def test_accounts_are_found_by_their_plan(client, boss, user):
    user.plan = "vip"
    user.save()
    url = reverse("admin:accounts_user_changelist")
    assert "mia-1" in client.get(url, {"plan__exact": "vip"}).content.decode()
    assert "mia-1" not in client.get(url, {"plan__exact": "free"}).content.decode()


def test_the_password_form_works(client, boss, user):
    url = reverse("admin:auth_user_password_change", args=[user.pk])
    assert client.get(url).status_code == 200
    client.post(
        url, {"usable_password": "true", "password1": "other-otter-1", "password2": "other-otter-1"}
    )
    user.refresh_from_db()
    assert user.check_password("other-otter-1")


def test_issuing_a_key_shows_it_once_and_logs_it(client, boss, user):
    url = reverse("admin:accounts_user_issue_key", args=[user.pk])
    form = client.get(url).content.decode()
    assert 'value="jobs:write"' in form
    assert 'value="recharges:write"' not in form
    page = client.post(url, {"name": "shop", "scopes": ["jobs:read"], "days": "7"})
    found = re.search(r'value="(ffk_live_\w+)"', page.content.decode())
    assert found is not None
    key = found[1]
    row = ApiKey.objects.get()
    assert row.key_hash == keys.digest(key)
    assert row.expires_at is not None
    assert "no-store" in page["Cache-Control"]
    for later in (url, reverse("admin:accounts_user_change", args=[user.pk])):
        assert key not in client.get(later).content.decode()
    history = client.get(reverse("admin:accounts_user_history", args=[user.pk])).content.decode()
    assert str(row.pk) in history
    assert key not in history


def test_a_key_beyond_the_role_is_refused_in_the_form(client, boss, user):
    url = reverse("admin:accounts_user_issue_key", args=[user.pk])
    page = client.post(url, {"name": "shop", "scopes": ["recharges:write"]})
    assert page.status_code == 200
    assert not ApiKey.objects.exists()


def test_keys_are_revoked_from_the_list(client, boss, user):
    issued = services.issue_api_key(user_id=user.pk, name="k", scopes=["jobs:read"])
    client.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [str(issued.id)]},
    )
    assert ApiKey.objects.get().revoked_at is not None


def test_an_operator_looks_but_changes_nothing(client, user):
    operator = services.register_user(username="ops", password=PASSWORD, role=Role.OPERATOR)
    client.force_login(operator)
    url = reverse("admin:accounts_user_change", args=[user.pk])
    assert client.get(url).status_code == 200
    assert client.post(url, {"username": "x", "role": "ADMIN"}).status_code == 403
    assert client.get(reverse("admin:accounts_user_issue_key", args=[user.pk])).status_code == 403
    issued = services.issue_api_key(user_id=user.pk, name="k", scopes=["jobs:read"])
    client.post(
        reverse("admin:accounts_apikey_changelist"),
        {"action": "revoke", "_selected_action": [str(issued.id)]},
    )
    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize("name", ["accounts_user", "accounts_apikey"])
def test_lists_need_a_fixed_number_of_queries(client, boss, name, django_assert_max_num_queries):
    for number in range(20):
        made = services.register_user(username=f"u{number}", password=None)
        services.issue_api_key(user_id=made.pk, name="k", scopes=["jobs:read"])
    with django_assert_max_num_queries(12):
        client.get(reverse(f"admin:{name}_changelist"))


def test_nobody_deletes_users_or_keys(client, boss, user):
    issued = services.issue_api_key(user_id=user.pk, name="k", scopes=["jobs:read"])
    for name, pk in (("user", user.pk), ("apikey", issued.id)):
        answer = client.post(reverse(f"admin:accounts_{name}_delete", args=[pk]), {"post": "yes"})
        assert answer.status_code == 403
    assert User.objects.filter(pk=user.pk).exists()
