"""Finance in a real browser: a month is closed and reopened, an export downloaded, pages looked at.

See ``browsers`` for what they need.
"""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.core.cache import cache
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from accounts import services as accounts_services
from accounts.tests.authenticators import code_of, enrol, forget_wrong_codes
from accounts.types import Role
from inference import job_reports
from tests.browsers import DESKTOP, PASSWORD, PHONE, needs_chromium, shoot
from tokens import export_handlers, services
from tokens.models import ExportJob, MonthClose, ReconBreak, ReconRun
from tokens.services import reconciliation
from tokens.tests.factories import make_user
from tokens.tests.test_reconciliation import age
from tokens.types import Category, LotTerms, Operation, RechargeItem, RechargeMode, RechargeRequest

pytestmark = [
    needs_chromium,
    pytest.mark.django_db(transaction=True),
]
DAY = dt.timedelta(days=1)


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


def spend(user, tokens, operation):
    with transaction.atomic():
        hold = services.place_hold(
            owner_id=user.pk,
            amount=tokens + 3,
            reference=f"job:{user.pk}:{tokens}:{timezone.now():%f}",
            expires_at=timezone.now() + DAY,
            operation=operation,
        )
        services.settle_hold(hold_id=hold, amount=tokens)


@pytest.fixture
def books():
    """Six weeks of traffic of three accounts, reconciled; and a clerk who keeps the books."""
    people = [make_user(tokens=50_000, user_ref=name) for name in ("aurora", "borealis", "cirrus")]
    age(days=42)
    for days in (9, 8, 7, 5, 4, 2, 0):
        for number, user in enumerate(people, start=1):
            spend(user, 130 * number + 17 * days, list(Operation)[number % 2])
        services.bulk_recharge(
            request=RechargeRequest(
                items=(RechargeItem("aurora", 700 + 90 * days),),
                mode=RechargeMode.ATOMIC,
                operator="shop",
                reason="Autumn",
                terms=LotTerms(
                    category=Category.PROMO, expires_at=timezone.now() + (60 - 5 * days) * DAY
                ),
            ),
            actor_id=people[0].pk,
            idempotency_key=f"autumn-{days}",
        )
        age(days=1 if days else 0)
    reconciliation.reconcile()
    job_reports.count_days()
    clerk = accounts_services.register_user(
        username="fiona", password=PASSWORD, user_ref="fiona-1", role=Role.FINANCE
    )
    enrol(clerk)
    return clerk


def sign_in(page, name, path):
    page.goto(f"/login/?next={path}")
    page.locator("#id_username").fill(name)
    page.locator("#id_password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"^http://[^/]+{re.escape(path)}$"))


def test_a_month_is_closed_and_opened_again_by_keyboard(open_page, books):
    month = f"{timezone.now() - 42 * DAY:%Y-%m}"
    run = ReconRun.objects.latest("started_at")
    found = ReconBreak.objects.create(
        check_name="wallet_available_is_the_sum_of_its_transfers",
        offenders_count=2,
        sample=["7", "9"],
        first_run=run,
        last_run=run,
    )
    page = open_page(DESKTOP)
    sign_in(page, "fiona", reverse("admin:finance_months"))
    line = page.locator(f"#month-{month}")
    expect(line).to_contain_text("Breaks are not resolved.")
    shoot(page, "finance-months-blocked")
    page.goto(reverse("admin:tokens_reconbreak_change", args=[found.pk]))
    shoot(page, "finance-break")
    page.get_by_label("Reason").fill("Two wallets of a restored backup; mended.")
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator("#break")).to_contain_text("Two wallets of a restored backup")
    page.goto(reverse("admin:finance_months"))
    close = line.get_by_role("link", name=f"Close {month}")
    close.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#accounts")).to_contain_text("Paid tokens issued")
    code = page.get_by_label("Authenticator code")
    code.fill("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    shoot(page, "finance-close-refused")
    forget_wrong_codes(books)
    code.fill(code_of(books))
    page.keyboard.press("Enter")
    expect(line).to_contain_text("Closed at")
    shoot(page, "finance-months")
    assert MonthClose.objects.get(reopened_at=None).closed_by_id == books.pk
    # The proof of a moment ago still holds, so reopening asks for words alone.
    line.get_by_role("link", name=f"Reopen {month}").click()
    page.get_by_label("Reason").fill("A late correction.")
    page.keyboard.press("Enter")
    expect(line).to_contain_text("ready to be closed")


def test_an_export_is_followed_and_downloaded(open_page, books, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    page = open_page(DESKTOP)
    sign_in(page, "fiona", reverse("admin:tokens_exportjob_order"))
    page.locator("#id_name").select_option("consumption")
    page.locator("#id_file_format").select_option("xlsx")
    page.get_by_role("button", name="Order the file").click()
    expect(page.get_by_role("status")).to_have_text("Queued")
    shoot(page, "finance-export-queued")
    assert export_handlers.write_export(export_id=ExportJob.objects.get().pk)
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^Download consumption")).click()
    assert download.value.suggested_filename.endswith(".xlsx")
    shoot(page, "finance-export-ready")


@pytest.mark.parametrize(
    ("viewport", "scheme", "locale"),
    [(DESKTOP, "light", "en-GB"), (PHONE, "dark", "zh-CN"), (DESKTOP, "dark", "zh-CN")],
    ids=["desktop-en", "phone-zh", "desktop-zh"],
)
def test_the_pages_are_looked_at(open_page, books, viewport, scheme, locale):
    accounts_services.register_user(username="ada", password=PASSWORD, role=Role.ADMIN)
    name = f"{viewport['width']}-{scheme}-{locale[:2]}"
    page = open_page(viewport, color_scheme=scheme, locale=locale)
    sign_in(page, "ada", "/admin/")
    # Bars of the chart are drawn by script; its figures are in the table below it.
    page.locator("details summary").first.click()
    expect(page.locator("#tokens-by-day-table")).to_be_visible()
    page.locator("details summary").first.click()
    shoot(page, f"overview-{name}")
    for view in ("reconciliation", "consumption", "liability", "months"):
        page.goto(reverse(f"admin:finance_{view}"))
        shoot(page, f"finance-{view}-{name}")
