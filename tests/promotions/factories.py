"""Builders for tests of promotions."""

from __future__ import annotations

import datetime as dt
import uuid

from django.utils import timezone

from accounts.types import Role
from inference.models import SwapJob
from promotions import services
from promotions.models import Campaign, RewardRule
from tokens import services as tokens_services
from tokens.models import ApprovalPolicy
from tokens.tests.factories import make_user


def make_campaign(*, maker=None, is_active: bool = True, **values) -> Campaign:
    """A campaign that runs since yesterday, activated by somebody else."""
    now = timezone.now()
    campaign = services.draft_campaign(
        values={
            "name": f"c-{uuid.uuid4().hex[:8]}",
            "title": "Spring",
            "tokens": 10,
            "budget": 1_000,
            "starts_at": now - dt.timedelta(days=1),
            "ends_at": now + dt.timedelta(days=1),
            **values,
        },
        actor_id=(maker or make_user(role=Role.MAKER)).pk,
    )
    return activated(campaign) if is_active else campaign


def make_rule(*, maker=None, is_active: bool = True, **values) -> RewardRule:
    """A daily rule of one token per finished swap that is in force since a month."""
    rule = services.draft_reward_rule(
        values={
            "name": f"r-{uuid.uuid4().hex[:8]}",
            "title": "Busy",
            "metric": "JOBS",
            "window": "DAY",
            "tiers": [{"from": 1, "per": 1, "tokens": 1}],
            "cap": 100,
            "total_max": 10_000,
            "starts_on": timezone.now().date() - dt.timedelta(days=31),
            **values,
        },
        actor_id=(maker or make_user(role=Role.MAKER)).pk,
    )
    return activated(rule) if is_active else rule


def activated(promotion):
    services.activate(promotion=promotion, actor_id=make_user(role=Role.APPROVER).pk)
    promotion.refresh_from_db()
    return promotion


def hold_everything_up() -> None:
    """Every batch waits for an approval from now on."""
    ApprovalPolicy.objects.create(name="all", rows_min=1, roles=["APPROVER"])


def finish(job: SwapJob, *, at: dt.datetime, duration_ms: int | None = None) -> None:
    """As if a worker had finished the job at a moment."""
    SwapJob.objects.filter(pk=job.pk).update(
        status="SUCCEEDED",
        attempt=1,
        started_at=at,
        finished_at=at,
        progress_percent=100,
        result_key=f"results/{job.pk}",
        result_sha256="0" * 64,
        result_content_type="video/mp4",
        result_size_bytes=1,
        result_width_px=1,
        result_height_px=1,
        result_duration_ms=duration_ms,
    )


def again(job: SwapJob, *, owner) -> SwapJob:
    """Another job like this one, of somebody else: nothing is decoded, so it costs little."""
    quote = job.quote
    quote.pk = uuid.uuid4()
    quote.owner_id = owner.pk
    quote._state.adding = True
    quote.save()
    hold_id = tokens_services.place_hold(
        owner_id=owner.pk,
        amount=1,
        reference=f"test:{quote.pk}",
        expires_at=timezone.now() + dt.timedelta(hours=1),
    )
    return SwapJob.objects.create(
        owner=owner, quote=quote, hold_id=hold_id, idempotency_key=str(quote.pk)
    )
