"""Productions made through the services, over pictures without faces where jobs need not run."""

from __future__ import annotations

import uuid
from typing import Any

from accounts.types import Role
from inference import handlers
from inference.models import SwapJob
from inference.tests import factories as inference_factories
from productions import services
from productions.models import ManifestRow, Production
from productions.types import ConsentKind, PersonOrder, ProductionOrder, RowOrder
from tokens import recharge_selectors
from tokens import selectors as tokens_selectors


def studio():
    """An account with nothing in its wallet."""
    return inference_factories.make_user()


def maker():
    """Somebody who may recharge."""
    return inference_factories.make_user(role=Role.OPERATOR)


def person(ref: str, *, owner_id: int, **more: Any) -> PersonOrder:
    face = inference_factories.make_asset(owner_id=owner_id)
    return PersonOrder(
        ref=ref,
        face_asset_id=face.pk,
        consent_kind=ConsentKind.DOCUMENTED,
        consent_text_version="2026-11",
        **more,
    )


def make_production(
    owner, *, people: tuple[PersonOrder, ...], rows: int = 0, **more: Any
) -> Production:
    """A draft; ``rows`` of them, dealt to the people in turn, with a target each."""
    production, _replay = services.create_production(
        owner_id=owner.pk,
        order=ProductionOrder(name="Lessons", people=people, **more),
        actor_id=owner.pk,
        idempotency_key=uuid.uuid4().hex,
    )
    if rows:
        load(production, [people[number % len(people)].ref for number in range(rows)])
    return production


def load(production: Production, refs: list[str]) -> None:
    target = inference_factories.make_asset(owner_id=production.owner_id)
    services.load_manifest(
        production=production,
        rows=[RowOrder(person=ref, target_asset_id=target.pk) for ref in refs],
        actor_id=production.owner_id,
    )


def funded(owner, **more: Any) -> Production:
    production = make_production(owner, **more)
    services.estimate(production=production, actor_id=owner.pk)
    return services.fund(production=production, actor_id=maker().pk)


def run_jobs(production: Production) -> None:
    """What workers do."""
    while True:
        queued = SwapJob.objects.filter(owner_id=production.owner_id, status="QUEUED")
        job = queued.order_by("created_at", "batch_row").first()
        if job is None:
            return
        handlers.run_swap_job(job_id=job.pk)


def rows_of(production: Production) -> list[ManifestRow]:
    rows = ManifestRow.objects.filter(production=production).select_related("job")
    return list(rows.order_by("row_no"))


def job_id(production: Production, *, row_no: int) -> uuid.UUID:
    """The job that a row has."""
    found = rows_of(production)[row_no - 1].job_id
    assert found is not None
    return found


def balance(owner) -> tuple[int, int]:
    found = tokens_selectors.balance(user_id=owner.pk)
    return found.available, found.held


def recharges() -> int:
    """How many batches of recharges there are."""
    return len(recharge_selectors.recharge_batches(limit=50)[0])
