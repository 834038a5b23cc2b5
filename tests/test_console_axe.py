"""Every page of the console that is ours, checked by axe-core in a real browser, and by keyboard.

Each page is looked at in English in the light and in Chinese in the dark. Pages without parameters
are found in the URL map, so a new one is checked without being named here.
"""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.types import Role
from inference import workers
from inference.models import Worker
from inference.tests import factories
from inference.workers import WorkerActivity, WorkerFacts
from tests.browsers import DESKTOP, PHONE, needs_chromium, shoot
from tests.contract.console_pages import pages
from tokens.models import Wallet
from tokens.tests.approvals import make_policy
from tokens.tests.recharges import create

pytestmark = [needs_chromium, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
LOOKS = {
    "en-light": {"locale": "en-GB", "color_scheme": "light"},
    "zh-dark": {"locale": "zh-CN", "color_scheme": "dark"},
}
RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    }
}
# Lists and forms that Django and the theme draw; one of each kind stands for them all.
_DRAWN = {"changelist", "add", "jsi18n", "autocomplete", "search", "logout", "login"}
_SAMPLES = ("admin:tokens_wallet_changelist", "admin:accounts_user_add")


@pytest.fixture
def admin(settings):
    """An administrator, with something to see on most pages."""
    settings.RATELIMIT_ENABLE = False
    cache.clear()
    boss = factories.make_user(role=Role.ADMIN)
    customer = factories.make_user(tokens=50)
    job = factories.make_job(owner_id=customer.pk)
    factories.take(job)
    factories.make_job(owner_id=customer.pk)
    worker_id = workers.register(WorkerFacts("celery@a/1", "a", 1, ("swaps",), 1, "cpu"))
    workers.report(worker_id=worker_id, activity=WorkerActivity())
    make_policy(name="large", batch_tokens_min=100)
    create([(customer.user_ref, 500)], actor=factories.make_user(role=Role.OPERATOR))
    return boss


@pytest.fixture
def open_page(browser, live_server, admin):
    """A page of the signed-in administrator that looks as asked."""
    client = Client()
    client.force_login(admin)
    contexts = []

    def make(look, viewport=DESKTOP):
        context = browser.new_context(
            base_url=live_server.url, viewport=viewport, reduced_motion="reduce", **LOOKS[look]
        )
        session = {"name": "sessionid", "value": client.cookies["sessionid"].value}
        context.add_cookies([session | {"url": live_server.url}])
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


def addresses() -> list[str]:
    """Where our own pages are, and a sample of those that others draw."""
    ours = [
        reverse(f"admin:{page}")
        for page in pages()
        if "<" not in page.route and "(?P" not in page.route and page.name not in _DRAWN
    ]
    wallet, customer = Wallet.objects.latest("pk"), User.objects.filter(role=Role.USER).latest("pk")
    with_ids = [
        reverse("admin:tokens_wallet_adjust", args=[wallet.pk]),
        reverse("admin:tokens_wallet_freeze", args=[wallet.pk]),
        reverse("admin:accounts_user_issue_key", args=[customer.pk]),
    ]
    return sorted({*ours, *with_ids, *map(reverse, _SAMPLES)})


@pytest.mark.parametrize("look", LOOKS)
def test_our_pages_have_no_fault_that_axe_can_see(open_page, look):
    page = open_page(look)
    axe = Axe()
    faults = []
    for address in addresses():
        answer = page.goto(address)
        if "html" not in (answer.headers.get("content-type") or ""):
            continue
        assert answer.status == 200, (address, answer.status)
        for fault in axe.run(page, options=RULES).response["violations"]:
            faults += [
                f"{address} {fault['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
                for node in fault["nodes"]
            ]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(("look", "viewport"), [("en-light", DESKTOP), ("zh-dark", PHONE)])
def test_a_worker_is_drained_by_keyboard(open_page, look, viewport):
    page = open_page(look, viewport)
    page.goto(reverse("admin:inference_worker_operations"))
    shoot(page, f"operations-{look}")
    button = page.locator("#workers button[value=drain]")
    for _step in range(120):
        page.keyboard.press("Tab")
        if button.evaluate("node => node === document.activeElement"):
            break
    else:
        pytest.fail("the button is not reached by Tab")
    outline = button.evaluate("node => getComputedStyle(node).outlineStyle")
    assert outline != "none", "nothing shows where the focus is"
    page.keyboard.press("Enter")
    page.locator("#workers button[value=resume]").wait_for()
    assert Worker.objects.get().is_draining
    page.goto(reverse("admin:inference_worker_models"))
    shoot(page, f"models-{look}")
