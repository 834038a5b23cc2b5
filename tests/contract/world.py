"""Accounts, their credentials and something of every kind, for requests that go all the way."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.db import transaction
from django.utils import timezone
from rest_framework_simplejwt.tokens import RefreshToken

from accounts import services as accounts_services
from accounts.freeze_types import FreezeCode, FreezeGrounds, FreezeKind
from accounts.models import User, WebhookDelivery
from accounts.tests import authenticators
from accounts.types import ROLE_SCOPES, Role
from inference import face_handlers, handlers, sandbox_media, services, transitions
from inference.models import AssetFace, FaceSearch, SwapJob
from inference.services import batches
from inference.tests import factories, real_engine
from inference.types import SwapOptions
from productions import services as productions_services
from productions.types import ConsentKind, PersonOrder, ProductionOrder, RowOrder
from risk import services as risk_services
from risk.models import RiskRule
from risk.types import Action, Crossing, RuleState, Signal
from tests.trust import factories as trust_factories
from tokens import services as tokens_services
from tokens.ledger.seal import seal_all
from tokens.models import ApprovalRequest
from tokens.tests import approvals, recharges
from tokens.types import Operation
from tokens.wallets import AdjustmentOrder
from trust import services as trust_services
from trust.types import ErasureScope

TOKENS = 500
WAITING_TOKENS = 100_000
FROZEN = "frozen"
FROZEN_ACCOUNT = "frozen account"
MAGIC_ID = str(next(iter(sandbox_media.MEDIA)))
HOOK = "https://hooks.example.com/facefusion"
Headers = dict[str, str]


@dataclass
class World:
    """What there is.

    Attributes:
        people: by the part they play.
        callers: headers that each kind of caller sends.
        ids: by parameter of a path; where one name means two things, by the path's first parts.
        others: further ids of the same kinds.
        bodies: by "METHOD path", where a request is refused for its content before anybody looks
            for the object of the path, or where the content decides.
    """

    people: dict[str, User] = field(default_factory=dict)
    callers: dict[str, Headers] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    others: dict[str, list[str]] = field(default_factory=dict)
    bodies: dict[str, Any] = field(default_factory=dict)

    def known(self, path: str, name: str) -> list[str]:
        """Ids that this parameter of the path can have, the usual one first."""
        prefixed = [
            key
            for key in self.ids
            if key.endswith(f"/{name}") and path.startswith(key[: -len(name)])
        ]
        key = prefixed[0] if prefixed else name
        return [self.ids[key], *self.others.get(key, [])]

    def fill(self, path: str) -> str:
        """The path with the usual ids for its parameters."""
        return re.sub(r"{(\w+)}", lambda match: self.known(path, match[1])[0], path)

    def headers_of(self, caller: str) -> Headers:
        """What this caller sends; asking for the frozen one freezes the owner's wallet."""
        if caller != FROZEN:
            return self.callers[caller]
        tokens_services.freeze_wallet(
            user_ref=self.people["owner"].user_ref,
            reason="why",
            actor_id=self.people["operator"].pk,
        )
        return self.callers["owner"]

    def owned(self) -> set[str]:
        """Ids that nobody but the owner may ever be shown."""
        kinds = (
            "asset_id",
            "face_id",
            "job_id",
            "quote_id",
            "endpoint_id",
            "event_id",
            "decision_id",
            "consent_id",
            "receipt_id",
        )
        listed = {
            self.ids[kind] for kind in (*kinds, "delivery_id", "key_id", "jobs/batches/batch_id")
        }
        listed |= {one for kind in kinds for one in self.others.get(kind, [])}
        return listed - {self.ids["foreign_asset_id"], MAGIC_ID}


def build() -> World:
    """Make it all, by the services that make it in life; the database must be empty of it."""
    world = World()
    _register(world)
    _keep_books(world)
    _upload(world)
    _swap(world)
    _listen(world)
    _produce(world)
    _suspect(world)
    _trust(world)
    return world


def _register(world: World) -> None:
    parts = {
        "owner": Role.USER,
        "other": Role.USER,
        "operator": Role.OPERATOR,
        "admin": Role.ADMIN,
        "chief": Role.ADMIN,
    }
    for part, role in parts.items():
        world.people[part] = factories.make_user(tokens=TOKENS, role=role)
    for part, user in world.people.items():
        world.callers[part] = _key(user, ROLE_SCOPES[Role(user.role)])
        world.callers[f"{part} in person"] = {
            "Authorization": f"Bearer {RefreshToken.for_user(user).access_token}"
        }
    for part in ("operator", "admin"):
        authenticators.enrol(world.people[part])
    owner = world.people["owner"]
    readable = {scope for scope in ROLE_SCOPES[Role.USER] if scope.endswith(":read")}
    world.callers["read key"] = _key(owner, readable)
    world.callers["write key"] = _key(owner, ROLE_SCOPES[Role.USER] - readable)
    world.callers["anonymous"] = {}
    world.callers["test key"] = _key(owner, ROLE_SCOPES[Role.USER], is_test=True)
    tokens_services.refill_sandbox(owner_id=User.objects.get(sandbox_of=owner).pk)
    kept_out = factories.make_user()
    world.callers[FROZEN_ACCOUNT] = _key(kept_out, ROLE_SCOPES[Role.USER])
    for kind in (FreezeKind.LOGIN, FreezeKind.API):
        frozen = accounts_services.freeze_account(
            user_id=kept_out.pk,
            kind=kind,
            grounds=FreezeGrounds(code=FreezeCode.OTHER, reason="to be looked at"),
            actor_id=world.people["chief"].pk,
        )
    world.ids["freeze_id"] = str(frozen.pk)
    spare = accounts_services.issue_api_key(user_id=owner.pk, name="spare", scopes=readable)
    world.ids |= {"key_id": str(spare.id), "user_ref": world.people["other"].user_ref}
    world.others["user_ref"] = [owner.user_ref, world.people["operator"].user_ref]


def _key(user: User, scopes: Any, *, is_test: bool = False) -> Headers:
    issued = accounts_services.issue_api_key(
        user_id=user.pk, name="contract", scopes=scopes, is_test=is_test
    )
    return {"Authorization": f"Bearer {issued.key}"}


def _keep_books(world: World) -> None:
    owner, other, operator, chief = (
        world.people[part] for part in ("owner", "other", "operator", "chief")
    )
    applied = recharges.create([(owner.user_ref, 5), ("nobody", 5)], actor=operator)
    policy = approvals.make_policy(batch_tokens_min=WAITING_TOKENS)
    waiting = recharges.create([(other.user_ref, WAITING_TOKENS)], actor=chief)
    change = approvals.propose(chief, name="stricter", rows_min=10, roles=approvals.STAFF)
    corrected = tokens_services.adjust_wallet(
        order=AdjustmentOrder(other.user_ref, 3, "a gift"),
        actor_id=operator.pk,
        idempotency_key=uuid.uuid4().hex,
    )
    request = ApprovalRequest.objects.get(batch=waiting.batch_id)
    # Services do not seal: a scheduled task does.
    seal_all()
    world.ids |= {
        "recharge-batches/batch_id": str(applied.batch_id),
        "request_id": str(request.pk),
        "policy_id": str(policy.pk),
        "change_id": str(change.pk),
        "adjustment_id": str(corrected.id),
        "name": "journal",
    }
    world.others["recharge-batches/batch_id"] = [str(waiting.batch_id)]
    policy_body = {"name": "wider", "rows_min": 20, "roles": ["admin"]}
    world.bodies |= {
        "POST approval-policies": policy_body,
        "PATCH approval-policies/{policy_id}": policy_body,
    } | {
        f"POST {path}/votes": {"decision": "approve", "content_sha256": voted.content_sha256}
        for path, voted in (
            ("approvals/{request_id}", request),
            ("approval-policy-changes/{change_id}", change),
        )
    }


def _upload(world: World) -> None:
    owner_id = world.people["owner"].pk
    source, target = (
        factories.make_asset(owner_id=owner_id, data=real_engine.sample(name))
        for name in ("astronaut.png", "grace_hopper.jpg")
    )
    services.request_faces(owner_id=owner_id, asset_id=target.pk)
    face_handlers.find_faces(search_id=FaceSearch.objects.get(asset=target).pk)
    foreign = factories.make_asset(owner_id=world.people["other"].pk)
    announced = services.announce_upload(
        owner_id=owner_id, name="later.jpg", size_bytes=10, sha256="", content_type="image/jpeg"
    )
    world.ids |= {
        "asset_id": str(target.pk),
        "face_id": str(AssetFace.objects.get(search__asset=target).pk),
        "uploads/asset_id": str(announced.asset.pk),
        "foreign_asset_id": str(foreign.pk),
        "signature": parse_qs(urlsplit(announced.target.url).query)["signature"][0],
    }
    world.others["asset_id"] = [
        str(source.pk),
        str(foreign.pk),
        str(announced.asset.pk),
        MAGIC_ID,
    ]


def _swap(world: World) -> None:
    owner_id = world.people["owner"].pk
    target_id, source_id = (
        uuid.UUID(text) for text in (world.ids["asset_id"], world.others["asset_id"][0])
    )

    def quote() -> uuid.UUID:
        return services.quote_swap(
            owner_id=owner_id,
            source_asset_id=source_id,
            target_asset_id=target_id,
            options=SwapOptions(),
        ).pk

    def job() -> SwapJob:
        submitted = services.submit_swap_job(
            owner_id=owner_id, quote_id=quote(), idempotency_key=uuid.uuid4().hex
        )
        return SwapJob.objects.get(pk=submitted.job_id)

    done, failed, waiting = job(), job(), job()
    handlers.run_swap_job(job_id=done.pk)
    transitions.fail(claim=factories.take(failed), code="no_face_in_source", detail="none")
    row = batches.BatchRow(source_id, target_id, Operation.IMAGE_SWAP, SwapOptions())
    batch_id, _is_replay = batches.create_job_batch(
        owner_id=owner_id,
        order=batches.BatchOrder(rows=(row,), mode=batches.Mode.SOFT_FAIL),
        idempotency_key=uuid.uuid4().hex,
    )
    world.ids |= {
        "quote_id": str(quote()),
        "job_id": str(waiting.pk),
        "jobs/batches/batch_id": str(batch_id),
    }
    world.others["job_id"] = [str(done.pk), str(failed.pk)]
    world.others["quote_id"] = [str(done.quote_id)]
    pair = {"source_asset_id": str(source_id), "target_asset_id": str(target_id)}
    world.ids["sha256"] = "0" * 64
    world.bodies |= {
        "POST quotes": {"operation": "image_swap", **pair},
        "POST verify": {"sha256": "0" * 64},
        "POST jobs": {"quote_id": world.ids["quote_id"]},
        "POST jobs/batches": {"jobs": [{"operation": "image_swap", **pair}]},
    }


def _produce(world: World) -> None:
    """A draft with one person and one row."""
    owner_id = world.people["owner"].pk
    person = PersonOrder(
        ref="ada",
        face_asset_id=uuid.UUID(world.others["asset_id"][0]),
        consent_kind=ConsentKind.SELF,
        consent_text_version="1",
    )
    production, _is_replay = productions_services.create_production(
        owner_id=owner_id,
        order=ProductionOrder(name="Lessons", people=(person,)),
        actor_id=owner_id,
        idempotency_key=uuid.uuid4().hex,
    )
    target_id = uuid.UUID(world.ids["asset_id"])
    productions_services.load_manifest(
        production=production,
        rows=[RowOrder(person="ada", target_asset_id=target_id)],
        actor_id=owner_id,
    )
    world.ids |= {"production_id": str(production.pk), "person_ref": "ada"}


def _trust(world: World) -> None:
    """A consent for an upload that is nowhere, a receipt, and a report by somebody unknown."""
    owner = world.people["owner"]
    given = trust_factories.consent(owner=owner, asset_ids=(uuid.uuid4(),))
    receipt = trust_services.issue_receipt(owner_id=owner.pk, scope=ErasureScope.ACCOUNT, items=[])
    world.ids |= {
        "consent_id": str(given.pk),
        "receipt_id": str(receipt.pk),
        "reference": trust_factories.report().reference,
    }


def _suspect(world: World) -> None:
    """A rule that only slows: whom it hits may still ask everything."""
    rule = RiskRule.objects.create(
        name="contract",
        version=1,
        title="Slows",
        signal=Signal.BLOCKED,
        window_s=60,
        threshold=1,
        action=Action.SLOW,
        state=RuleState.ACTIVE,
    )
    now = timezone.now()
    decision = risk_services.decide(
        rule_id=rule.pk,
        crossing=Crossing(world.people["owner"].pk, at=now, value=1, since=now, count=1),
    )
    assert decision is not None
    world.ids["decision_id"] = str(decision.pk)
    world.bodies["POST risk/decisions/{decision_id}/appeal"] = {"text": "why"}


def _listen(world: World) -> None:
    owner_id = world.people["owner"].pk
    endpoint = accounts_services.create_endpoint(user_id=owner_id, url=HOOK, events=["*"])
    with transaction.atomic():
        delivery_id = accounts_services.send_test(user_id=owner_id, endpoint_id=endpoint.id)
    delivery = WebhookDelivery.objects.get(pk=delivery_id)
    world.ids |= {
        "endpoint_id": str(endpoint.id),
        "delivery_id": str(delivery_id),
        "event_id": str(delivery.event_id),
    }
    world.bodies["POST webhook-endpoints/{endpoint_id}/replay"] = {
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-01-02T00:00:00Z",
    }
