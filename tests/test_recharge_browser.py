"""A recharge of a thousand rows in a real browser, from the file to the retry and the reversal.

See ``browsers`` for what it needs.
"""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect

from accounts import services as accounts_services
from accounts.models import User
from accounts.tests.authenticators import code_of, enrol, forget_used_codes
from accounts.types import Role
from tests.browsers import DESKTOP, PASSWORD, PHONE, needs_chromium, shoot
from tokens import batch_handlers, draft_handlers, selectors
from tokens.models import RechargeBatch, RechargeDraft
from tokens.tests.approvals import make_policy

pytestmark = [needs_chromium, pytest.mark.django_db(transaction=True)]
ROWS = 1_000
# Seven rows that fail. Those of the last two users can be retried when the accounts exist; the
# others are wrong in themselves.
BAD_ROWS = [
    "c-0001,5,twice",
    "c-0002,=1+1,formula",
    "c-0003,1.5,scale",
    "c-0004,-3,negative",
    ",4,nobody",
    "late-1,50,late",
    "late-2,50,late",
]


@pytest.fixture(autouse=True)
def people(settings):
    """A thousand customers but for seven rows; ``june`` makes, ``omar`` checks."""
    settings.CONSOLE_SECOND_FACTOR = False
    cache.clear()
    User.objects.bulk_create(
        User(username=f"c-{number:04}", user_ref=f"c-{number:04}") for number in range(ROWS - 7)
    )
    for name in ("june", "omar"):
        user = accounts_services.register_user(
            username=name, password=PASSWORD, user_ref=f"{name}-1", role=Role.OPERATOR
        )
        enrol(user)
    make_policy(name="Large recharges", batch_tokens_min=1_000, approvals_required=1)


@pytest.fixture
def june_csv(tmp_path):
    """A thousand rows of 10 tokens but for the bad ones, in a table with a column of its own."""
    good = [f"c-{number:04},10,row {number}" for number in range(ROWS - 7)]
    path = tmp_path / "june.csv"
    path.write_text("\n".join(["user,amount,note", *good, *BAD_ROWS]), encoding="utf-8")
    return path


@pytest.fixture
def sign_in(browser, live_server):
    """A page of a person's own; its scripts must not complain."""
    contexts, complaints = [], []

    def make(name, path, viewport=DESKTOP, **options):
        context = browser.new_context(base_url=live_server.url, viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"/login/?next={path}")
        page.locator("#id_username").fill(name)
        page.locator("#id_password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(rf"^http://[^/]+{re.escape(path)}$"))
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def present_code(name) -> str:
    user = User.objects.get(username=name)
    forget_used_codes(user)
    return code_of(user)


def send(page, path):
    """Fill the first page in and send it; the worker's work is done here."""
    page.locator("#id_file").set_input_files(str(path))
    page.locator("#id_reason").fill("June, order 4711")
    page.locator("#id_funding").select_option("payment")
    page.locator("#draft-new button[type=submit]").click()
    expect(page.locator("[data-follow]")).to_be_visible()


def reverse_first_row(june, batch):
    """Chosen in the list of rows, seen first, then taken back."""
    june.goto(reverse("admin:tokens_rechargebatch_rows", args=[batch.pk]) + "?code=applied")
    june.get_by_role("checkbox", name="Choose row 1", exact=True).check()
    june.get_by_role("button", name="Reverse the chosen rows").click()
    expect(june.locator("#outlook")).to_contain_text("10")
    june.locator("#id_reason").fill("Wrong account")
    june.locator("#id_mode").select_option("atomic")
    shoot(june, "recharge-reverse")
    june.locator("#id_dry_run").uncheck()
    june.locator("#batch-step-form button[type=submit]").click()
    expect(june.get_by_text("Reverses another batch")).to_be_visible()
    first = User.objects.get(username="c-0000")
    assert selectors.balance(user_id=first.pk).available == 0


def test_a_thousand_rows_from_the_file_to_the_reversal(sign_in, june_csv):
    june = sign_in("june", reverse("admin:tokens_rechargedraft_new"))
    shoot(june, "recharge-new")
    send(june, june_csv)
    shoot(june, "recharge-checking")
    draft = RechargeDraft.objects.get()
    draft_handlers.check_draft(draft_id=draft.pk)
    # The page notices by itself.
    expect(june.locator("#draft-totals")).to_contain_text("9,930", timeout=15_000)
    expect(june.locator("#verdicts")).to_contain_text("7")
    expect(june.get_by_text("Large recharges")).to_be_visible()
    shoot(june, "recharge-preview")
    june.locator("#verdicts a", has_text="Would fail").click()
    expect(june.locator("#draft-rows tbody tr")).to_have_count(7)
    shoot(june, "recharge-rows")
    june.go_back()
    june.locator("#id_code").fill(present_code("june"))
    june.locator("#draft-submit button[type=submit]").click()
    expect(june.get_by_text("Approval of this batch")).to_be_visible()
    shoot(june, "recharge-waiting")
    batch = RechargeBatch.objects.get()

    omar = sign_in("omar", reverse("admin:tokens_approvalrequest_inbox"))
    omar.get_by_role("checkbox", name="Choose “June, order 4711”").check()
    shoot(omar, "approvals-inbox")
    omar.locator("#id_0_code").fill(present_code("omar"))
    omar.get_by_role("button", name="Approve the chosen of this band").click()
    expect(omar.locator("#mine")).to_contain_text("Nothing waits for you")
    batch_handlers.apply_recharge_batch(batch_id=batch.pk)
    expect(june.locator("#result")).to_contain_text("993", timeout=15_000)
    shoot(june, "recharge-result")

    with june.expect_download() as download:
        june.get_by_role("link", name="failures.csv").click()
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "user,amount,note,code,message_en,message_zh"
    assert len(lines) == 8
    for name in ("late-1", "late-2"):
        accounts_services.register_user(username=name, password=PASSWORD, user_ref=name)
    june.get_by_role("link", name="Retry failures").click()
    june.locator("#batch-step-form button[type=submit]").click()
    expect(june.get_by_text("Retries the failures of another batch")).to_be_visible()
    expect(june.locator("#result")).to_contain_text("Applied 2")
    for name, tokens in (("late-1", 50), ("late-2", 50), ("c-0001", 10)):
        person = User.objects.get(username=name)
        assert selectors.balance(user_id=person.pk).available == tokens
    shoot(june, "recharge-retried")

    reverse_first_row(june, batch)


def test_the_same_in_chinese_on_a_phone(sign_in, june_csv):
    page = sign_in(
        "june",
        reverse("admin:tokens_rechargedraft_new"),
        PHONE,
        locale="zh-CN",
        color_scheme="dark",
    )
    expect(page.locator("#draft-new")).to_contain_text("检查")
    shoot(page, "recharge-new-zh")
    send(page, june_csv)
    draft_handlers.check_draft(draft_id=RechargeDraft.objects.get().pk)
    expect(page.locator("#draft-totals")).to_contain_text("9,930", timeout=15_000)
    shoot(page, "recharge-preview-zh")
    page.locator("#id_code").fill(present_code("june"))
    page.locator("#draft-submit button[type=submit]").click()
    expect(page.get_by_text("此批次的审批")).to_be_visible()
    shoot(page, "recharge-waiting-zh")
    inbox = sign_in("omar", reverse("admin:tokens_approvalrequest_inbox"), PHONE, locale="zh-CN")
    expect(inbox.locator("#mine article")).to_have_count(1)
    shoot(inbox, "approvals-inbox-zh")
