"""Who may open which page of the console, and who is offered which action.

The expected outcomes are the table in docs/access.md. Pages come from the URL map and actions from
the registered screens, so a new one fails here until it has its row.
"""

from __future__ import annotations

from collections import defaultdict

import pytest
from django.contrib.auth.models import AnonymousUser

from accounts.models import User
from accounts.types import ROLE_SCOPES, SEPARATE_DUTIES, TEAM_ROLES, Role
from tests.contract.console_pages import EVERYBODY, ROLES, actions, expected, pages, told

pytestmark = pytest.mark.django_db
# What the roles must never reach, whatever the table says.
NEVER = {
    Role.MAKER: ("tokens_wallet:adjust", "inference_mediaasset", "accounts_user:add"),
    Role.APPROVER: ("tokens_rechargebatch:new", "tokens_wallet:adjust", "inference_mediaasset"),
    Role.FINANCE: ("tokens_rechargebatch:new", "tokens_wallet:adjust", "inference_mediaasset"),
    Role.RISK: ("tokens_rechargebatch:new", "tokens_wallet:adjust", "tokens_wallet:close"),
    Role.SAFETY: ("tokens_", "accounts_"),
    Role.SUPPORT: ("tokens_wallet:adjust", "tokens_rechargebatch", "inference_mediaasset"),
    Role.PRICING: ("tokens_rechargebatch", "tokens_wallet", "inference_mediaasset", "accounts_"),
    Role.SRE: ("tokens_", "accounts_", "inference_mediaasset"),
    Role.AUDITOR: ("inference_mediaasset", "tokens_wallet:adjust", "tokens_rechargebatch:new"),
    Role.OWNER: ("tokens_rechargebatch:new", "tokens_wallet:adjust", "inference_mediaasset"),
}


_FOUND: dict[str, dict[Role, str]] = {}

# Pages whose forms the services refuse to everybody else: reading and deciding share an address.
READ_AND_DECIDED = {
    f"tokens_{model}:change"
    for model in (
        "approvalrequest",
        "exportjob",
        "policychange",
        "ratecard",
        "rechargebatch",
        "reconbreak",
    )
}


@pytest.fixture
def found(db) -> dict[str, dict[Role, str]]:
    """What every role is told, by page or action; asked once, for all tests."""
    if not _FOUND:
        outcomes: dict[str, dict[Role, str]] = defaultdict(dict)
        for role in ROLES:
            user = User(pk=-1, username=role, role=role, is_staff=True)
            user.is_superuser = role is Role.ADMIN
            for page in pages():
                outcomes[f"{page.model}:{page.name}"][role] = told(page, user)
            for model, names in actions(user).items():
                for name in names:
                    outcomes[f"{model}:action-{name}"][role] = "yes"
        for name, cells in outcomes.items():
            _FOUND[name] = {role: cells.get(role, "no") for role in ROLES}
    return _FOUND


def test_every_role_may_do_what_the_table_says(found):
    wanted = {name: dict(zip(ROLES, cells, strict=True)) for name, cells in expected().items()}
    assert found == wanted, "\n" + "\n".join(rows(found))


def test_no_role_reaches_what_it_must_never_reach(found):
    for role, names in NEVER.items():
        for name in names:
            reached = {
                page: cells[role]
                for page, cells in found.items()
                if page.startswith(name) and cells[role] != "no"
            }
            assert not reached, (role, reached)
            assert any(page.startswith(name) for page in found), f"{name} is no page any more"


def test_an_auditor_looks_and_changes_nothing(found):
    offered = {
        page: cells[Role.AUDITOR]
        for page, cells in found.items()
        if cells[Role.AUDITOR] == "yes"
        and page not in READ_AND_DECIDED
        and (page.endswith((":add", ":change", ":delete")) or ":action-" in page)
    }
    assert not offered


def test_customers_and_strangers_are_sent_to_sign_in():
    for user in (AnonymousUser(), User(username="u", role=Role.USER)):
        for page in pages():
            if page.name not in {"logout", "login"}:
                assert told(page, user) == "sign in", page


def test_no_role_has_two_duties_that_check_each_other():
    for role in set(Role) - TEAM_ROLES:
        for duties in SEPARATE_DUTIES:
            assert not duties <= ROLE_SCOPES[role], (role, duties)


def rows(found: dict[str, dict[Role, str]]) -> list[str]:
    """What the table would have to say: pages of a model with the same cells share a row."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for name, cells in sorted(found.items()):
        model, _colon, page = name.partition(":")
        grouped[model, tuple(cells.values())].append(page)
    return [
        f"| admin:{model}: {' '.join(names)} | {' | '.join(cells)} |"
        for (model, cells), names in grouped.items()
    ]


def test_pages_of_the_site_itself_are_the_same_for_all_staff(found):
    for name in EVERYBODY:
        assert set(found[f":{name}"].values()) == {"yes"}, name
