"""What rules find in requests, jobs, gifts, sign-ins and faces, and what is forgotten on time."""

from __future__ import annotations

import datetime as dt
import io
import json
import uuid

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services as accounts_services
from accounts.freeze_types import FreezeKind
from accounts.models import SignIn, User
from accounts.types import ROLE_SCOPES, Role
from inference import services as inference_services
from inference import transitions
from inference.observers import JobObserver
from inference.pipeline.types import Embedding
from inference.tests import factories
from risk import counters, selectors, services
from risk.errors import (
    RiskRuleInvalidError,
    RiskRuleNeedsAnotherError,
    RiskRuleNotFoundError,
    RiskRuleStateError,
    RiskRuleUntestedError,
)
from risk.models import FaceSighting, RiskDecision, RiskMinute, RiskRule
from risk.types import Action, Signal, Verdict
from tests.risk.conftest import make_rule
from tokens.models import AuditEvent
from tokens.tests import recharges
from tokens.types import Category, LotTerms

pytestmark = pytest.mark.django_db(transaction=True)
DRAW = np.random.default_rng(3)


def client_of(user, **extra) -> APIClient:
    issued = accounts_services.issue_api_key(
        user_id=user.pk, name="t", scopes=ROLE_SCOPES[Role.USER], **extra
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issued.key}")
    return client


def rules_hit(user) -> list[str]:
    rows = RiskDecision.objects.filter(user=user).order_by("decided_at")
    return list(rows.values_list("rule_name", flat=True))


def face() -> np.ndarray:
    vector = DRAW.standard_normal(128).astype(np.float32)
    return vector / np.linalg.norm(vector)


def show(user, vector) -> None:
    """As a worker does that has prepared a job with this source."""
    claim = factories.take(factories.make_job(owner_id=user.pk))
    noisy = vector + 0.02 * DRAW.standard_normal(128).astype(np.float32)
    seen = Embedding(raw=noisy, unit=noisy / np.linalg.norm(noisy))
    for _attempt in range(2):
        JobObserver(claim).identities([seen], recogniser="sface")


def test_requests_are_counted_and_stopped_at_the_threshold(rules):
    user = factories.make_user()
    client = client_of(user)
    for _ in range(50):
        # One thing that is gone, asked for again and again, is no probing.
        assert client.get(f"/api/v1/jobs/{uuid.UUID(int=1)}").status_code == 404
    answers = [client.get(f"/api/v1/jobs/{uuid.uuid4()}").status_code for _ in range(50)]
    assert answers.count(404) == rules["probing"].threshold - 1
    assert answers[-1] == 403
    assert rules_hit(user) == ["probing"]
    assert User.objects.get(pk=user.pk).frozen_kinds == ["api"]


def test_slowed_accounts_have_half_of_their_limit(settings):
    settings.API_RATE = "20/m"
    make_rule(signal=Signal.REQUESTS, threshold=5, action=Action.SLOW)
    user = factories.make_user()
    client = client_of(user)
    answers = [client.get("/api/v1/balance").status_code for _ in range(16)]
    # A limit that changes begins its window anew.
    assert answers == [200] * 15 + [429]


def test_a_key_in_many_places_is_stopped_and_its_minutes_are_kept(rules, settings):
    settings.TRUSTED_PROXY_HOPS = 1
    user, other = factories.make_user(), factories.make_user()
    client, honest = client_of(user), client_of(other)
    answers = []
    for number in range(10):
        elsewhere = {"x-forwarded-for": f"198.51.{number}.7"}
        answers.append(client.get("/api/v1/balance", headers=elsewhere).status_code)
        same = {"x-forwarded-for": f"203.0.113.{number}"}
        assert honest.get("/api/v1/balance", headers=same).status_code == 200
    assert answers == [200] * 6 + [403] * 4
    assert rules_hit(user) == ["key-in-many-places"]
    later = timezone.now() + dt.timedelta(minutes=1)
    services.sweep(now=later)
    kept = RiskMinute.objects.filter(user=other, signal=Signal.REQUESTS)
    assert sum(kept.values_list("value", flat=True)) == 10
    assert RiskMinute.objects.filter(user=user, signal=Signal.KEY_NETWORKS).exists()
    assert counters.ended_minutes(now=later) == []


def test_redis_away_costs_no_answer(settings, rules):
    settings.RATELIMIT_USE_CACHE = "broken"
    settings.CACHES = settings.CACHES | {
        "broken": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    assert client_of(factories.make_user()).get("/api/v1/me").status_code == 200


def test_refunds_blocked_content_and_sign_ins_are_found(rules):
    careless, abuser, blocked, traveller = (factories.make_user(tokens=60) for _ in range(4))
    for number in range(20):
        job = factories.make_job(owner_id=abuser.pk)
        inference_services.cancel_swap_job(owner_id=abuser.pk, job_id=job.pk)
        if number < 4:
            claim = factories.take(factories.make_job(owner_id=careless.pk))
            transitions.fail(claim=claim, code="no_face_in_source", detail="none")
    for _ in range(3):
        claim = factories.take(factories.make_job(owner_id=blocked.pk))
        transitions.fail(claim=claim, code="content_blocked_in_source", detail="no")
    for number in range(5):
        accounts_services.note_sign_in(
            user_id=traveller.pk, way=SignIn.Way.PAGE, address=f"198.51.{number}.1"
        )
        accounts_services.note_sign_in(
            user_id=careless.pk, way=SignIn.Way.PAGE, address=f"203.0.113.{number}"
        )
    assert services.sweep().decided_count == 3
    assert services.sweep().decided_count == 0
    assert rules_hit(abuser) == ["refund-abuse"]
    assert rules_hit(blocked) == ["blocked-content"]
    assert rules_hit(traveller) == ["sign-in-many-places"]
    assert rules_hit(careless) == []
    evidence = RiskDecision.objects.get(user=abuser).evidence
    assert (evidence["value"], evidence["count"]) == (100, 20)


@pytest.mark.parametrize("code", ["internal_error", "no_face_in_source"])
def test_what_fails_makes_nobody_look_guilty(rules, code):
    user = factories.make_user(tokens=60)
    for _ in range(20):
        claim = factories.take(factories.make_job(owner_id=user.pk))
        transitions.fail(claim=claim, code=code, detail="a fault")
    assert services.sweep().decided_count == 0


def test_one_face_is_found_across_files_and_accounts(rules):
    make_rule(name="again", signal=Signal.SAME_FACE, threshold=4)
    loner, *friends = (factories.make_user(tokens=20) for _ in range(5))
    mine, theirs = face(), face()
    for _ in range(4):
        show(loner, mine)
    for friend in friends[:3]:
        show(friend, theirs)
    for _ in range(4):
        show(friends[3], face())
    services.sweep()
    assert rules_hit(loner) == ["again"]
    assert [rules_hit(it) for it in friends] == [["face-shared"]] * 3 + [[]]
    assert FaceSighting.objects.filter(user=loner).values("person").distinct().count() == 1


def test_what_tells_faces_apart_is_deleted_on_time(settings):
    user = factories.make_user(tokens=5)
    vector = face()
    show(user, vector)
    later = timezone.now() + dt.timedelta(seconds=settings.RISK_FACE_TTL_S + 1)
    assert services.forget_faces() == 0
    assert services.forget_faces(now=later) == 1
    assert FaceSighting.objects.get().tokens == []
    show(user, vector)
    assert FaceSighting.objects.values("person").distinct().count() == 2
    columns = {field.name for field in FaceSighting._meta.get_fields()}
    assert columns == {"id", "user", "reference", "person", "tokens", "seen_at", "forget_at"}
    assert services.purge(now=later + dt.timedelta(days=settings.RISK_HISTORY_DAYS)) == 2


def test_large_gifts_that_burn_at_once_are_found_and_bought_tokens_are_not(rules):
    make_rule(name="small-gift", signal=Signal.BURN, window_s=120, threshold=50, floor=4)
    greedy, buyer = factories.make_user(), factories.make_user(tokens=4)
    recharges.create([(greedy.user_ref, 4, "", LotTerms(category=Category.PROMO))], actor=greedy)
    for user in (greedy, buyer):
        for _ in range(3):
            factories.make_job(owner_id=user.pk)
    services.sweep()
    assert rules_hit(greedy) == ["small-gift"]
    assert rules_hit(buyer) == []


def test_a_rule_goes_live_by_two_people_after_a_test(analyst):
    values = {
        "name": "blocked",
        "title": "Blocked",
        "signal": Signal.BLOCKED,
        "window_s": 3600,
        "threshold": 2,
        "action": Action.FREEZE,
        "freeze_kind": FreezeKind.SPEND,
    }
    with pytest.raises(RiskRuleInvalidError) as invalid:
        services.draft_rule(values=values | {"window_s": 1}, actor_id=analyst.pk)
    assert invalid.value.code == "risk_rule_invalid"
    rule = services.draft_rule(values=values, actor_id=analyst.pk)
    second = factories.make_user(role=Role.OWNER)
    with pytest.raises(RiskRuleUntestedError) as untested:
        services.activate_rule(rule_id=rule.pk, actor_id=second.pk)
    assert untested.value.code == "risk_rule_untested"
    services.backtest_rule(rule_id=rule.pk, actor_id=analyst.pk)
    with pytest.raises(RiskRuleNeedsAnotherError) as alone:
        services.activate_rule(rule_id=rule.pk, actor_id=analyst.pk)
    assert alone.value.code == "risk_rule_needs_another"
    services.activate_rule(rule_id=rule.pk, actor_id=second.pk)
    with pytest.raises(RiskRuleStateError) as state:
        services.activate_rule(rule_id=rule.pk, actor_id=second.pk)
    assert state.value.code == "risk_rule_state"
    newer = services.draft_rule(values=values | {"threshold": 5}, actor_id=second.pk)
    assert newer.version == 2
    services.backtest_rule(rule_id=newer.pk, actor_id=second.pk)
    services.activate_rule(rule_id=newer.pk, actor_id=analyst.pk)
    assert [it.version for it in selectors.active_rules() if it.name == "blocked"] == [2]
    told = AuditEvent.objects.filter(subject="risk_rule:blocked").order_by("pk")
    assert [it.action.removeprefix("risk_rule.") for it in told] == [
        *("drafted", "tested", "activated", "drafted", "tested", "retired", "activated")
    ]
    with pytest.raises(DatabaseError, match="never rewritten"), transaction.atomic():
        RiskRule.objects.filter(pk=rule.pk).update(threshold=1)
    with pytest.raises(RiskRuleNotFoundError) as missing:
        services.retire_rule(rule_id=0, actor_id=analyst.pk)
    assert missing.value.code == "risk_rule_not_found"


def test_a_test_on_history_counts_whom_it_would_have_hit_wrongly(analyst):
    rule = make_rule(name="blocked", threshold=2, state="draft")
    live = make_rule(name="live", threshold=2)
    honest, abuser = factories.make_user(tokens=20), factories.make_user(tokens=20)
    for user in (honest, abuser):
        for _ in range(2):
            claim = factories.take(factories.make_job(owner_id=user.pk))
            transitions.fail(claim=claim, code="content_blocked_in_source", detail="no")
    services.sweep()
    for user, verdict in ((honest, Verdict.HONEST), (abuser, Verdict.ABUSE)):
        services.judge_decision(
            decision_id=RiskDecision.objects.get(user=user, rule=live).pk,
            verdict=verdict,
            reason="looked",
            actor_id=analyst.pk,
        )
    out = io.StringIO()
    call_command("risk_backtest", "blocked", "--json", stdout=out)
    report = json.loads(out.getvalue())
    assert (report["accounts_count"], report["abuse_count"], report["honest_count"]) == (2, 1, 1)
    assert report["wrong_percent"] == 50
    rule.refresh_from_db()
    assert rule.test_report == report
    assert RiskDecision.objects.filter(rule=rule).count() == 0
    out = io.StringIO()
    call_command(
        "risk_backtest", "blocked", "--from", "2020-01-01", "--to", "2020-02-01", stdout=out
    )
    assert "decisions          0" in out.getvalue()
    with pytest.raises(CommandError):
        call_command("risk_backtest", "nothing")
