"""The page about one customer: who sees what, the timeline, what can be done, what is found."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import re
import uuid
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from accounts import services as accounts_services
from accounts.freeze_types import FreezeCode, FreezeGrounds, FreezeKind
from accounts.models import AccountFreeze, AccountNote, SignIn, WebhookDelivery, WebhookEndpoint
from accounts.tests.authenticators import code_of, enrol
from accounts.types import Role
from facefusion_site.customers import search
from inference import handlers
from inference.errors import AssetNotFoundError
from inference.models import SwapJob
from inference.services import refunds, reviews
from inference.tests import factories
from inference.tests.conftest import fast_swap  # noqa: F401  # a fixture
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services
from tokens.errors import RefundRefusedError
from tokens.models import AuditEvent
from tokens.types import RechargeItem, RechargeMode, RechargeRequest
from tokens.wallet_errors import ReasonMissingError

pytestmark = pytest.mark.django_db(transaction=True)
PARTS = ("timeline", "jobs", "access")


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    yield
    cache.clear()


@pytest.fixture
def customer():
    user = factories.make_user(tokens=50)
    user.email = "mia.long@example.com"
    user.save(update_fields=["email"])
    return user


class Browser(Client):
    """A client that knows who is signed in."""

    user: Any


def browser(role: Role, *, proven: bool = False) -> Browser:
    user = factories.make_user(role=role)
    client = Browser()
    client.force_login(user)
    if proven:
        enrol(user)
        client.post(reverse("second-factor"), {"action": "prove", "code": code_of(user)})
    client.user = user
    return client


def page_of(client, customer, **query):
    return client.get(reverse("admin:customer", args=[customer.user_ref]), query)


def text_of(client, customer, **query):
    answer = page_of(client, customer, **query)
    assert answer.status_code == 200
    return answer.content.decode()


def recharge(customer, amount):
    tokens_services.bulk_recharge(
        request=RechargeRequest(
            items=(RechargeItem(user_ref=customer.user_ref, amount=amount),),
            mode=RechargeMode.ATOMIC,
            operator="tests",
            reason="tests",
        ),
        actor_id=factories.make_user(role=Role.ADMIN).pk,
        idempotency_key=f"recharge-{amount}",
    )


def freeze(customer, kind, actor):
    return accounts_services.freeze_account(
        user_id=customer.pk,
        kind=FreezeKind(kind),
        grounds=FreezeGrounds(code=FreezeCode.FRAUD, reason="odd burns", notice="Write to us."),
        actor_id=actor.pk,
    )


def finished_job(customer) -> SwapJob:
    job = factories.make_job(owner_id=customer.pk)
    handlers.run_swap_job(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == "SUCCEEDED"
    return job


# By role: what of the page it sees, and which of the actions answer it.
SEES = {
    Role.ADMIN: {"wallet", "notes", "jobs", "email", "freeze", "factor", "refund", "reveal"},
    Role.OPERATOR: {"wallet", "notes", "jobs", "email", "freeze", "refund", "reveal"},
    Role.RISK: {"wallet", "notes", "jobs", "email", "freeze"},
    Role.SUPPORT: {"wallet", "notes", "jobs"},
    Role.AUDITOR: {"wallet", "notes", "jobs"},
    Role.FINANCE: {"wallet"},
    Role.MAKER: {"wallet"},
    Role.APPROVER: {"wallet"},
    Role.OWNER: {"wallet", "notes", "email", "freeze", "factor"},
    Role.SAFETY: {"reveal"},
    Role.SRE: set(),
    Role.PRICING: set(),
    Role.USER: set(),
}


@pytest.mark.usefixtures("fast_swap")
def test_each_role_sees_and_does_what_its_duties_ask_for(customer):
    job = finished_job(customer)
    paths = {
        "freeze": reverse("admin:customer_freeze", args=[customer.user_ref]),
        "factor": reverse("admin:customer_factor", args=[customer.user_ref]),
        "refund": reverse("admin:customer_refund", args=[customer.user_ref, job.pk]),
        "reveal": reverse("admin:customer_picture", args=[job.pk, "source"]),
    }
    for role, expected in SEES.items():
        client = browser(role)
        found = {name for name, path in paths.items() if client.get(path).status_code == 200}
        answer = page_of(client, customer, part="jobs")
        if answer.status_code == 200:
            page = answer.content.decode()
            found |= {name for name in ("wallet", "notes", "jobs") if f'id="{name}"' in page}
            found |= {"email"} if customer.email in page else set()
            assert (f"/jobs/{job.pk}/refund/" in page) == ("refund" in expected)
            assert ("data-reveal" in page) == ("reveal" in expected)
        assert found == expected, role
    assert Client().get(paths["freeze"]).status_code == 302


def test_the_timeline_shows_everything_once_in_order_and_by_kind(customer, client):
    admin = factories.make_user(role=Role.ADMIN)
    risk = factories.make_user(role=Role.RISK)
    recharge(customer, 7)
    key = accounts_services.issue_api_key(
        user_id=customer.pk, name="shop key", scopes=["jobs:read"]
    )
    accounts_services.revoke_api_key(key_id=key.id, user_id=customer.pk)
    accounts_services.note_sign_in(user_id=customer.pk, way="PAGE", address="192.0.2.77")
    accounts_services.write_note(user_id=customer.pk, author_id=admin.pk, text="called, is nice")
    row = freeze(customer, "upload", risk)
    accounts_services.lift_freeze(freeze_id=row.pk, reason="a mistake", actor_id=admin.pk)
    factories.make_job(owner_id=customer.pk)
    tokens_services.freeze_wallet(
        user_ref=customer.user_ref, reason="for a while", actor_id=admin.pk
    )
    staff = browser(Role.ADMIN)
    page = text_of(staff, customer)
    kinds = re.findall(r'<strong class="text-important">([^<]+)</strong>', page)
    for text in (
        "Tokens granted",
        "Set aside for a swap",
        "Signed in on the site",
        "API key issued",
        "API key revoked",
        "Frozen",
        "Freeze ended",
        "Note",
    ):
        assert text in kinds, text
    assert kinds.count("Frozen") == 2
    assert "192.0.2.77" in page
    timeline = page[page.index('id="timeline"') :].partition("</ol>")[0]
    moments = re.findall(r'datetime="([^"]+)"', timeline)
    assert moments == sorted(moments, reverse=True)
    # By kind, and masked for who need not know the address.
    assert "192.0.2.…" in text_of(browser(Role.SUPPORT), customer, kind="sign_ins")
    only = text_of(staff, customer, kind="notes")
    assert "called, is nice" in only
    assert "Tokens granted" not in only
    # Finance sees money and freezes, and neither keys nor notes.
    finance = text_of(browser(Role.FINANCE), customer)
    assert "Tokens granted" in finance
    assert "shop key" not in finance
    assert "called, is nice" not in finance


def test_the_timeline_is_read_page_by_page_without_loss(customer):
    moment = timezone.now()
    for number in range(40):
        SignIn.objects.create(
            user=customer, way="PAGE", address=f"192.0.2.{number}", created_at=moment
        )
    for amount in range(1, 41):
        recharge(customer, amount)
    staff, seen = browser(Role.ADMIN), []
    query: dict[str, str] = {}
    for _page in range(9):
        page = text_of(staff, customer, **query)
        part = page[page.index('id="timeline"') : page.index("</ol>", page.index('id="timeline"'))]
        seen += re.findall(r"192\.0\.2\.\d+|recharge_batch:[0-9a-f-]+", part)
        older = re.search(r'id="older" href="[^"]*cursor=([^"&]+)"', page)
        if older is None:
            break
        query = {"cursor": older[1].replace("%3D", "=")}
    assert len(seen) == len(set(seen)) == 81
    # What is no cursor of ours begins at the newest entry.
    assert page_of(staff, customer, cursor="nonsense").status_code == 200
    assert page_of(staff, customer, cursor="eyJ0IjogIngifQ==").status_code == 200


def test_the_wallet_tells_its_lots_and_what_it_held_before(customer):
    before = timezone.now()
    recharge(customer, 7)
    staff = browser(Role.FINANCE)
    page = text_of(staff, customer)
    assert "57" in page[page.index('id="wallet"') :]
    assert page.count('scope="row"') == 2
    past = text_of(
        staff, customer, at=(before + dt.timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M")
    )
    assert "57 free tokens and 0 held ones" in past
    past = text_of(staff, customer, at="2020-01-01T00:00")
    assert "0 free tokens and 0 held ones" in past
    assert "Enter a valid date" in text_of(staff, customer, at="yesterday")


def test_a_freeze_is_placed_appealed_and_lifted(customer):
    risk, other = browser(Role.RISK), browser(Role.RISK)
    url = reverse("admin:customer_freeze", args=[customer.user_ref])
    body = {"kind": "api", "code": "fraud", "reason": "odd burns", "notice": "Write to us."}
    past = risk.post(url, body | {"expires_at": "2020-01-01T00:00"})
    assert "lies in the past" in past.content.decode()
    assert risk.post(url, {"kind": "api"}).status_code == 200
    assert risk.post(url, body | {"expires_at": "2099-01-01T00:00"}).status_code == 302
    row = AccountFreeze.objects.get()
    assert (row.kind, row.created_by, row.notice) == ("api", risk.user, "Write to us.")
    page = text_of(other, customer)
    assert "odd burns" in page[page.index('id="freezes"') :]
    appeal = reverse("admin:customer_appeal", args=[customer.user_ref, row.pk])
    assert other.post(appeal, {"state": "open", "reason": "a mail"}).status_code == 302
    lift = reverse("admin:customer_lift", args=[customer.user_ref, row.pk])
    assert "odd burns" in other.get(lift).content.decode()
    assert other.post(lift, {"reason": "explained"}).status_code == 302
    again = other.post(lift, {"reason": "explained"})
    assert "has ended already" in again.content.decode()
    row.refresh_from_db()
    assert (row.appeal, row.lifted_by) == ("open", other.user)
    assert 'id="freezes"' not in text_of(other, customer)
    stranger = reverse("admin:customer_lift", args=[other.user.user_ref, row.pk])
    assert other.get(stranger).status_code == 404


def test_notes_are_kept_and_shown(customer):
    support = browser(Role.SUPPORT)
    url = reverse("admin:customer_note", args=[customer.user_ref])
    assert support.post(url, {"text": "  "}).status_code == 302
    assert support.post(url, {"text": "<b>called</b> twice"}).status_code == 302
    note = AccountNote.objects.get()
    assert (note.author, note.user) == (support.user, customer)
    assert "&lt;b&gt;called&lt;/b&gt; twice" in text_of(support, customer)
    assert browser(Role.RISK).post(url, {"text": "x"}).status_code == 403


@pytest.mark.usefixtures("fast_swap")
def test_a_job_is_refunded_once_with_a_code_and_a_reason(customer):
    job = finished_job(customer)
    charged = 50 - tokens_selectors.balance(user_id=customer.pk).available
    assert charged > 0
    plain, staff = browser(Role.OPERATOR), browser(Role.OPERATOR, proven=True)
    url = reverse("admin:customer_refund", args=[customer.user_ref, job.pk])
    body = {"amount": charged, "reason": "a green face"}
    assert "This field is required" in plain.post(url, body).content.decode()
    wrong = plain.post(url, body | {"proof": "000000"})
    assert wrong.status_code == 200
    too_much = staff.post(url, body | {"amount": charged + 1})
    assert too_much.status_code == 200
    assert tokens_selectors.balance(user_id=customer.pk).available == 50 - charged
    assert staff.post(url, body).status_code == 302
    assert tokens_selectors.balance(user_id=customer.pk).available == 50
    again = staff.post(url, body)
    assert again.status_code == 200
    assert tokens_selectors.balance(user_id=customer.pk).available == 50
    event = AuditEvent.objects.get(action="swap_job.refunded")
    assert event.actor == staff.user
    assert event.before is not None
    assert event.after is not None
    assert (event.before["charged"], event.after["charged"]) == (charged, 0)
    assert event.after["reason"] == "a green face"
    waiting = factories.make_job(owner_id=customer.pk)
    with pytest.raises(RefundRefusedError):
        refunds.refund_swap_job(job_id=waiting.pk, amount=1, reason="why", actor_id=staff.user.pk)
    with pytest.raises(ReasonMissingError):
        refunds.refund_swap_job(job_id=job.pk, amount=1, reason=" ", actor_id=staff.user.pk)


def test_a_lost_second_factor_is_reset_by_another_administrator(customer):
    enrol(customer)
    admin = browser(Role.ADMIN, proven=True)
    url = reverse("admin:customer_factor", args=[customer.user_ref])
    assert admin.post(url, {"reason": "lost the telephone"}).status_code == 302
    assert "none" in text_of(admin, customer)
    event = AuditEvent.objects.get(action="user.second_factor_reset")
    assert event.before is not None
    assert event.after is not None
    assert (event.before["is_enrolled"], event.after["is_enrolled"]) == (True, False)
    own = reverse("admin:customer_factor", args=[admin.user.user_ref])
    refused = admin.post(own, {"reason": "mine"})
    assert "Another administrator" in refused.content.decode()


@pytest.mark.usefixtures("fast_swap")
def test_pictures_are_blurred_until_somebody_asks_on_record(customer):
    job = finished_job(customer)
    staff = browser(Role.OPERATOR)
    for which in ("source", "target", "result"):
        blurred = staff.get(reverse("admin:customer_picture", args=[job.pk, which]))
        shown = staff.post(reverse("admin:customer_reveal", args=[job.pk, which]))
        assert (blurred.status_code, shown.status_code) == (200, 200)
        assert all("no-store" in answer["Cache-Control"] for answer in (blurred, shown))
        smooth, clear = (
            Image.open(io.BytesIO(answer.content)).convert("L").resize((64, 64))
            for answer in (blurred, shown)
        )
        # A noisy picture has hard edges everywhere, its blur none.
        assert steps(smooth) < steps(clear) / 4
    seen = AuditEvent.objects.filter(action="media.revealed").order_by("pk")
    assert [(event.after or {})["picture"] for event in seen] == ["source", "target", "result"]
    assert {event.actor for event in seen} == {staff.user}
    assert staff.get(reverse("admin:customer_picture", args=[job.pk, "other"])).status_code == 404
    assert staff.get(reverse("admin:customer_reveal", args=[job.pk, "source"])).status_code == 405
    with pytest.raises(AssetNotFoundError):
        reviews.blurred_picture(job_id=uuid.uuid4(), which=reviews.JobPicture.SOURCE)


def steps(picture) -> float:
    """The mean difference between neighbours in a row."""
    values = list(picture.getdata())
    return float(sum(abs(a - b) for a, b in itertools.pairwise(values)) / len(values))


def test_an_event_is_sent_again_on_record(customer):
    endpoint = WebhookEndpoint.objects.create(
        user=customer, url="https://hooks.example.com/", events=["*"], secret="sealed"
    )
    freeze(customer, "upload", factories.make_user(role=Role.RISK))
    WebhookDelivery.objects.update(status="FAILED", finished_at=timezone.now())
    delivery = WebhookDelivery.objects.get()
    support = browser(Role.SUPPORT)
    page = text_of(support, customer, part="access")
    assert endpoint.url in page
    assert "account.frozen" in page
    url = reverse("admin:customer_replay", args=[customer.user_ref, delivery.pk])
    assert support.post(url).status_code == 302
    delivery.refresh_from_db()
    assert delivery.status == "PENDING"
    event = AuditEvent.objects.get(subject=f"webhook_delivery:{delivery.pk}")
    assert event.before is not None
    assert event.after is not None
    assert (event.before["status"], event.after["status"]) == ("FAILED", "PENDING")


def test_the_search_field_finds_what_the_viewer_may_open(customer, rf):
    job = factories.make_job(owner_id=customer.pk)
    recharge(customer, 3)
    event = AuditEvent.objects.exclude(subject="").latest("pk")
    batch_id = event.subject.removeprefix("recharge_batch:")

    def found(role, text):
        request = rf.get("/admin/search/")
        request.user = factories.make_user(role=role)
        return [result.link for result in search.find(request, text.lower())]

    page = reverse("admin:customer", args=[customer.user_ref])
    for text in (customer.username.upper(), customer.user_ref[:9], "MIA.LONG@"):
        assert found(Role.SUPPORT, text) == [page], text
    assert found(Role.SAFETY, customer.username) == []
    assert found(Role.SUPPORT, "m") == []
    assert found(Role.SUPPORT, "100%") == []
    assert found(Role.SRE, str(job.pk)) == [
        reverse("admin:inference_swapjob_change", args=[job.pk])
    ]
    assert found(Role.FINANCE, str(job.pk)) == []
    assert found(Role.FINANCE, batch_id) == [
        reverse("admin:tokens_rechargebatch_change", args=[batch_id])
    ]
    assert found(Role.AUDITOR, "no-such-request") == []


def test_a_busy_account_costs_a_bounded_number_of_queries(customer, django_assert_max_num_queries):
    admin = factories.make_user(role=Role.ADMIN)
    for number in range(1, 25):
        recharge(customer, number)
        accounts_services.issue_api_key(
            user_id=customer.pk, name=f"key {number}", scopes=["jobs:read"]
        )
        accounts_services.write_note(user_id=customer.pk, author_id=admin.pk, text=f"{number}")
        accounts_services.note_sign_in(user_id=customer.pk, way="PAGE", address="192.0.2.1")
    for _job in range(6):
        factories.make_job(owner_id=customer.pk)
    freeze(customer, "upload", admin)
    staff = browser(Role.ADMIN)
    text_of(staff, customer)
    for part in PARTS:
        with django_assert_max_num_queries(36):
            text_of(staff, customer, part=part)


def test_nobody_is_found_where_nobody_is(client):
    staff = browser(Role.ADMIN)
    assert staff.get(reverse("admin:customer", args=["nobody-here"])).status_code == 404
    user_page = reverse("admin:accounts_user_customer", args=[staff.user.pk])
    answer = staff.get(user_page)
    assert answer["Location"] == reverse("admin:customer", args=[staff.user.user_ref])
