"""Freezes of accounts: what each kind stops, who may place and lift them, how they end."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import handlers, services
from accounts.errors import (
    FreezeEndedError,
    FreezeInvalidError,
    FreezeNeedsAnotherError,
    FreezeNotFoundError,
    NoteInvalidError,
    RoleRequiredError,
    UserNotFoundError,
)
from accounts.freeze_types import FreezeCode, FreezeGrounds, FreezeKind
from accounts.models import AccountFreeze, AccountNote, SignIn, User, WebhookEndpoint, WebhookEvent
from accounts.types import ROLE_SCOPES, Role
from inference.tests import factories
from tokens import services as tokens_services
from tokens.models import AuditEvent, Wallet
from tokens.wallet_errors import WalletClosedError

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "calm-otter-4711"
NOTICE = "Please answer our mail."
RULE = "rule:burn-after-grant:3"


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    yield
    cache.clear()


@pytest.fixture
def user():
    made = factories.make_user(tokens=50)
    services.set_password(user_id=made.pk, password=PASSWORD)
    made.refresh_from_db()
    return made


@pytest.fixture
def risk():
    return factories.make_user(role=Role.RISK)


def freeze(user, kind, actor, **more):
    grounds = FreezeGrounds(code=FreezeCode.ABUSE, reason="a reason", notice=NOTICE)
    return services.freeze_account(
        user_id=user.pk,
        kind=FreezeKind(kind),
        grounds=grounds,
        actor_id=None if actor is None else actor.pk,
        **more,
    )


def lift(row, actor):
    return services.lift_freeze(freeze_id=row.pk, reason="looked at it", actor_id=actor.pk)


def client_of(user, **extra) -> APIClient:
    issued = services.issue_api_key(
        user_id=user.pk, name="test", scopes=ROLE_SCOPES[Role(user.role)], **extra
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    return client


def signed_in(user) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def upload(client):
    picture = SimpleUploadedFile("a.jpg", factories.picture(), "image/jpeg")
    return client.post("/api/v1/assets", {"file": picture}, format="multipart")


def pair_of(user):
    body = {"username": user.username, "password": PASSWORD}
    return APIClient().post("/api/v1/auth/token", body, format="json")


def code_of(answer):
    return answer.status_code, answer.json()["code"]


def events(user):
    mine = AuditEvent.objects.filter(subject=f"user:{user.user_ref}").order_by("pk")
    return list(mine.values_list("action", flat=True))


def test_an_api_freeze_stops_keys_test_keys_and_tokens_and_says_why(user, risk):
    live, test = client_of(user), client_of(user, is_test=True)
    token = APIClient()
    token.credentials(HTTP_AUTHORIZATION=f"Bearer {pair_of(user).json()['access']}")
    until = timezone.now() + dt.timedelta(hours=1)
    row = freeze(user, "api", risk, expires_at=until)
    for client in (live, test, token):
        refused = client.get("/api/v1/me")
        assert code_of(refused) == (403, "api_frozen")
        assert refused.json()["notice"] == NOTICE
        assert refused.json()["until"] == until.isoformat()
        assert NOTICE in refused.json()["detail"]
    # The site itself still works, and says what is frozen.
    (told,) = signed_in(user).get("/api/v1/me").json()["freezes"]
    assert (told["kind"], told["notice"]) == ("api", NOTICE)
    lift(row, risk)
    assert [c.get("/api/v1/me").status_code for c in (live, test, token)] == [200, 200, 200]
    assert live.get("/api/v1/me").json()["freezes"] == []


def test_a_login_freeze_ends_sessions_and_sign_ins_and_leaves_keys(user, risk, client):
    page, keyed, pair = signed_in(user), client_of(user), pair_of(user).json()
    token = APIClient()
    token.credentials(HTTP_AUTHORIZATION=f"Bearer {pair['access']}")
    row = freeze(user, "login", risk)
    assert page.get("/api/v1/me").status_code == 401
    assert page.get("/studio/").status_code == 302
    assert code_of(token.get("/api/v1/me")) == (403, "login_frozen")
    assert code_of(pair_of(user)) == (403, "login_frozen")
    body = {"refresh": pair["refresh"]}
    renewed = APIClient().post("/api/v1/auth/token/refresh", body, format="json")
    assert code_of(renewed) == (401, "token_invalid")
    assert keyed.get("/api/v1/me").status_code == 200
    form = {"username": user.username, "password": PASSWORD}
    refused = client.post(reverse("login"), form)
    assert refused.status_code == 200
    assert NOTICE in refused.content.decode()
    # Who does not know the password is told nothing of it.
    other = client.post(reverse("login"), form | {"password": "wrong"})
    assert NOTICE not in other.content.decode()
    lift(row, risk)
    assert client.post(reverse("login"), form).status_code == 302
    ways = list(SignIn.objects.filter(user=user).order_by("pk").values_list("way", flat=True))
    assert ways == ["PROGRAM", "PAGE"]


def test_an_upload_freeze_stops_every_way_in(user, risk):
    client = client_of(user)
    row = freeze(user, "upload", risk)
    refused = [
        upload(client),
        client.post("/api/v1/uploads", {"filename": "a.jpg", "size_bytes": 10}, format="json"),
        client.post("/api/v1/imports", {"url": "https://example.com/a.jpg"}, format="json"),
    ]
    assert [code_of(answer) for answer in refused] == [(403, "upload_frozen")] * 3
    assert client.get("/api/v1/assets").status_code == 200
    lift(row, risk)
    assert upload(client).status_code == 201


def test_a_spend_freeze_is_the_frozen_wallet_whoever_placed_it(user, risk):
    operator = factories.make_user(role=Role.OPERATOR)
    by_rule = freeze(user, "spend", None, source=RULE)
    by_hand = freeze(user, "spend", risk)
    assert Wallet.objects.get(owner=user).status == "FROZEN"
    client = client_of(user)
    quote = factories.make_quote(owner_id=user.pk)
    refused = client.post(
        "/api/v1/jobs",
        {"quote_id": str(quote.pk)},
        format="json",
        headers={"idempotency-key": uuid.uuid4().hex},
    )
    assert code_of(refused) == (403, "wallet_frozen")
    lift(by_hand, risk)
    assert Wallet.objects.get(owner=user).status == "FROZEN"
    assert User.objects.get(pk=user.pk).frozen_kinds == ["spend"]
    # The wallet's own button ends what is left.
    thawed = tokens_services.unfreeze_wallet(
        user_ref=user.user_ref, reason="all is well", actor_id=operator.pk
    )
    assert thawed.status == "active"
    by_rule.refresh_from_db()
    assert (by_rule.lifted_by, by_rule.lift_reason) == (operator, "all is well")
    tokens_services.freeze_wallet(user_ref=user.user_ref, reason="again", actor_id=operator.pk)
    last = AccountFreeze.objects.get(user=user, lifted_at=None)
    assert (last.kind, last.reason, last.created_by) == ("spend", "again", operator)
    assert Wallet.objects.get(owner=user).status == "FROZEN"


def test_a_closed_wallet_is_not_frozen_and_stays_closed(risk):
    user, admin = factories.make_user(), factories.make_user(role=Role.ADMIN)
    row = freeze(user, "spend", risk)
    tokens_services.close_wallet(user_ref=user.user_ref, reason="gone", actor_id=admin.pk)
    lift(row, risk)
    assert Wallet.objects.get(owner=user).status == "CLOSED"
    with pytest.raises(WalletClosedError):
        freeze(user, "spend", risk)
    assert not AccountFreeze.objects.filter(user=user, lifted_at=None).exists()


def test_a_freeze_ends_by_itself_and_the_account_is_told(user, risk):
    WebhookEndpoint.objects.create(
        user=user, url="https://hooks.example.com/", events=["*"], secret="sealed"
    )
    now = timezone.now()
    row = freeze(user, "upload", None, source=RULE, expires_at=now + dt.timedelta(hours=1))
    later = freeze(user, "api", risk)
    assert handlers.lift_expired_freezes(now=now) == 0
    assert handlers.lift_expired_freezes(now=now + dt.timedelta(hours=2)) == 1
    assert handlers.lift_expired_freezes(now=now + dt.timedelta(hours=2)) == 0
    row.refresh_from_db()
    assert (row.lifted_by, row.lift_reason) == (None, "its time was over")
    assert User.objects.get(pk=user.pk).frozen_kinds == ["api"]
    later.refresh_from_db()
    assert later.lifted_at is None
    sent = WebhookEvent.objects.filter(user=user, type__startswith="account.")
    assert [(event.type, event.data["kind"]) for event in sent.order_by("created_at")] == [
        ("account.frozen", "upload"),
        ("account.frozen", "api"),
        ("account.unfrozen", "upload"),
    ]
    assert {event.data["user_ref"] for event in sent} == {user.user_ref}
    assert events(user) == ["account.frozen", "account.frozen", "account.unfrozen"]


def test_the_same_source_prolongs_and_never_shortens(user, risk):
    soon, late = (timezone.now() + dt.timedelta(hours=n) for n in (1, 2))
    row = freeze(user, "api", risk, expires_at=late)
    assert freeze(user, "api", risk, expires_at=soon).expires_at == late
    assert freeze(user, "api", risk).expires_at is None
    assert freeze(user, "api", risk, expires_at=soon).pk == row.pk
    assert AccountFreeze.objects.count() == 1
    assert events(user) == ["account.frozen", "account.freeze_prolonged"]
    prolonged = AuditEvent.objects.get(action="account.freeze_prolonged")
    assert prolonged.before is not None
    assert prolonged.after is not None
    assert prolonged.before["expires_at"] == late.isoformat()
    assert prolonged.after["expires_at"] is None
    assert prolonged.actor == risk


def test_who_may_freeze_whom(user, risk):
    support, admin = (factories.make_user(role=role) for role in (Role.SUPPORT, Role.ADMIN))
    with pytest.raises(RoleRequiredError):
        freeze(user, "api", support)
    # Nobody locks the people out who could let them in again, but who rules over accounts.
    with pytest.raises(RoleRequiredError):
        freeze(admin, "login", risk)
    row = freeze(risk, "login", admin)
    with pytest.raises(RoleRequiredError):
        lift(row, factories.make_user(role=Role.RISK))
    lift(row, admin)
    with pytest.raises(FreezeEndedError):
        lift(row, admin)


def test_the_freezer_of_many_tokens_leaves_the_thaw_to_others(user, risk, settings):
    settings.RECHARGE_STEP_UP_TOKENS = 49
    colleague = factories.make_user(role=Role.RISK)
    for kind in FreezeKind:
        row = freeze(user, kind, risk)
        with pytest.raises(FreezeNeedsAnotherError):
            lift(row, risk)
        assert kind in User.objects.get(pk=user.pk).frozen_kinds
        lift(row, colleague)
    assert User.objects.get(pk=user.pk).frozen_kinds == []
    assert Wallet.objects.get(owner=user).status == "ACTIVE"


def test_bad_orders_are_refused_with_their_field(user, risk):
    past = timezone.now() - dt.timedelta(seconds=1)
    with pytest.raises(FreezeInvalidError) as refused:
        freeze(user, "api", risk, expires_at=past)
    assert refused.value.param == "expires_at"
    with pytest.raises(FreezeInvalidError) as refused:
        freeze(user, "api", risk, source=" ")
    assert refused.value.param == "source"
    with pytest.raises(UserNotFoundError):
        freeze(User(pk=2**31 - 1), "api", risk)
    with pytest.raises(FreezeNotFoundError):
        services.lift_freeze(freeze_id=uuid.uuid4(), reason="why", actor_id=risk.pk)
    with pytest.raises(NoteInvalidError) as unsaid:
        services.write_note(user_id=user.pk, author_id=risk.pk, text="  ")
    assert unsaid.value.code == "note_invalid"
    assert AccountFreeze.objects.count() == 0


def test_freezes_and_notes_cannot_be_rewritten(user, risk):
    row = freeze(user, "api", risk)
    admin = factories.make_user(role=Role.ADMIN)
    note = services.write_note(user_id=user.pk, author_id=admin.pk, text="called back")
    lift(row, risk)
    changes = (
        lambda: AccountFreeze.objects.filter(pk=row.pk).update(reason="another"),
        lambda: AccountFreeze.objects.filter(pk=row.pk).update(lift_reason="another"),
        lambda: AccountFreeze.objects.filter(pk=row.pk).delete(),
        lambda: AccountNote.objects.filter(pk=note.pk).update(text="never called"),
        lambda: AccountNote.objects.filter(pk=note.pk).delete(),
    )
    for change in changes:
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_staff_freeze_appeal_and_lift_over_http(user, risk):
    http = client_of(risk)
    path = f"/api/v1/users/{user.user_ref}/freezes"
    body = {"kind": "upload", "code": "abuse", "reason": "strangers", "notice": NOTICE}
    made = http.post(path, body, format="json")
    assert made.status_code == 201, made.json()
    assert (made.json()["user"], made.json()["frozen_by"]) == (user.user_ref, risk.user_ref)
    (listed,) = http.get(path).json()["items"]
    assert listed == made.json() == http.get(f"/api/v1/freezes/{listed['id']}").json()
    appeal = {"state": "open", "reason": "a mail came"}
    noted = http.post(f"/api/v1/freezes/{listed['id']}/appeal", appeal, format="json")
    assert noted.json()["appeal"] == "open"
    lifted = http.post(f"/api/v1/freezes/{listed['id']}/lift", {"reason": "ok"}, format="json")
    assert (lifted.json()["lifted_by"], lifted.json()["lift_reason"]) == (risk.user_ref, "ok")
    again = http.post(f"/api/v1/freezes/{listed['id']}/lift", {"reason": "ok"}, format="json")
    assert code_of(again) == (409, "freeze_ended")
    assert code_of(http.post(path, {"kind": "api"}, format="json")) == (400, "invalid_request")
    past = body | {"expires_at": "2020-01-01T00:00:00Z"}
    assert code_of(http.post(path, past, format="json")) == (400, "freeze_invalid")
    unknown = f"/api/v1/freezes/{uuid.uuid4()}"
    assert code_of(http.get(unknown)) == (404, "freeze_not_found")
    assert code_of(client_of(user).post(path, body, format="json")) == (403, "role_required")
    assert events(user) == ["account.frozen", "account.freeze_appealed", "account.unfrozen"]


def test_sign_ins_are_forgotten_after_their_time(user, settings):
    services.note_sign_in(user_id=user.pk, way="PAGE", address="192.0.2.7")
    later = timezone.now() + dt.timedelta(days=settings.SIGN_INS_KEEP_DAYS)
    assert handlers.purge_sign_ins(now=later - dt.timedelta(minutes=1)) == 0
    assert handlers.purge_sign_ins(now=later + dt.timedelta(minutes=1)) == 1
