"""The console's decision pages in a real browser: by keyboard, on a phone, in Chinese, in the dark.

See ``browsers`` for what they need.
"""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect

from accounts import services as accounts_services
from accounts.models import User
from accounts.tests.authenticators import code_of, enrol
from accounts.types import Role
from tests.browsers import DESKTOP, PASSWORD, PHONE, needs_chromium, shoot
from tokens import services
from tokens.approvals import VoteDecision
from tokens.models import ApprovalPolicy, ApprovalRequest, PolicyChange, RechargeBatch
from tokens.tests.approvals import ballot, make_policy, propose
from tokens.tests.recharges import create

pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def open_page(browser, live_server):
    """Pages whose scripts must not complain."""
    cache.clear()
    contexts, complaints = [], []

    def make(viewport, **options):
        context = browser.new_context(base_url=live_server.url, viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def make_person(name, role):
    user = accounts_services.register_user(
        username=name, password=PASSWORD, user_ref=f"{name}-1", role=role
    )
    enrol(user)
    return user


@pytest.fixture
def request_row():
    """A batch of thirteen rows by ``june`` that waits for ``omar`` or ``ada``, with a question."""
    make_policy(name="Large recharges", batch_tokens_min=10, approvals_required=1)
    june, omar = make_person("june", Role.OPERATOR), make_person("omar", Role.OPERATOR)
    make_person("ada", Role.ADMIN)
    items = [(f"customer-{number:04}", 100 * number) for number in range(1, 13)]
    create([*items, ("partner-of-the-year", 250_000)], actor=june)
    row = ApprovalRequest.objects.get()
    question = ballot(row, VoteDecision.ASK, comment="Why does one row get so much?")
    services.vote_on_batch(request_id=row.pk, voter_id=omar.pk, ballot=question)
    return row


def sign_in(page, name, path):
    page.goto(f"/login/?next={path}")
    page.locator("#id_username").fill(name)
    page.locator("#id_password").fill(PASSWORD)
    page.keyboard.press("Enter")
    # The address of the sign-in page ends in the same path.
    page.wait_for_url(re.compile(rf"^http://[^/]+{re.escape(path)}$"))


def address(row):
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_an_approver_decides_by_keyboard(open_page, request_row, viewport, scheme):
    name = f"{viewport['width']}-{scheme}"
    page = open_page(viewport, color_scheme=scheme)
    sign_in(page, "omar", "/admin/")
    shoot(page, f"console-{name}")
    page.goto(reverse("admin:tokens_approvalrequest_changelist"))
    shoot(page, f"approvals-{name}")
    page.goto(address(request_row))
    expect(page.locator("#outliers")).to_contain_text("250,000")
    shoot(page, f"approval-{name}")
    approve = page.get_by_label("Approve", exact=True)
    approve.focus()
    # Enter in the form without a choice decides nothing: the browser asks for one.
    page.keyboard.press("Enter")
    assert RechargeBatch.objects.get().status == "PENDING_APPROVAL"
    page.keyboard.press("Space")
    expect(approve).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Comment")).to_be_focused()
    page.keyboard.type("Agreed with the partner team.")
    page.keyboard.press("Tab")
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    shoot(page, f"approval-refused-{name}")
    assert RechargeBatch.objects.get().status == "PENDING_APPROVAL"


def test_an_approver_approves_and_the_menu_forgets_it(open_page, request_row):
    ada = User.objects.get(username="ada")
    page = open_page(DESKTOP)
    sign_in(page, "ada", address(request_row))
    menu = page.locator("#nav-sidebar-apps").get_by_role("link", name="Approvals")
    expect(menu).to_contain_text("1")
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label("Code of your authenticator").fill(code_of(ada))
    page.get_by_role("button", name="Record the decision").click()
    expect(page.locator("#obstacle")).to_have_text("It is decided.")
    expect(menu).not_to_contain_text("1")
    shoot(page, "approval-approved")
    assert RechargeBatch.objects.get().status == "QUEUED"


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")], ids=["desktop", "phone"]
)
def test_the_maker_answers_in_chinese(open_page, request_row, viewport, scheme):
    page = open_page(viewport, locale="zh-CN", color_scheme=scheme)
    sign_in(page, "june", address(request_row))
    expect(page.locator("#obstacle")).to_contain_text("由他人审批")
    shoot(page, f"approval-maker-zh-{viewport['width']}-{scheme}")
    page.get_by_label("您的回答").fill("合作方合同中的年度奖励。")
    page.get_by_role("button", name="回答").click()
    expect(page.locator("#votes")).to_contain_text("合作方合同中的年度奖励。")
    shoot(page, f"approval-answered-zh-{viewport['width']}-{scheme}")


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_an_administrator_reads_a_policy_change(open_page, request_row, viewport, scheme):
    maker = make_person("mo", Role.ADMIN)
    policy = ApprovalPolicy.objects.get()
    propose(maker, policy.pk, approvals_required=2, row_tokens_min=100_000, roles=["ADMIN"])
    page = open_page(viewport, color_scheme=scheme)
    change = PolicyChange.objects.get()
    sign_in(page, "ada", address(change))
    expect(page.locator("#differences")).to_contain_text("Approvals needed")
    shoot(page, f"policy-change-{viewport['width']}-{scheme}")
    page.goto(reverse("admin:tokens_monthclose_exports"))
    page.get_by_role("button", name="Show the files").click()
    expect(page.get_by_role("link", name="consumption.csv")).to_be_visible()
    shoot(page, f"exports-{viewport['width']}-{scheme}")
