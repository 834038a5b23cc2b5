"""Who asks, and for what: accounts with keys, tokens and quotes."""

from __future__ import annotations

import io
import uuid
from dataclasses import dataclass
from typing import Final

from django.db import connection
from PIL import Image

from accounts import services as accounts_services
from accounts.types import Role, Scope
from inference import selectors, services, transitions
from inference.models import SwapQuote
from inference.services.quotes import draft_quote, terms_of
from inference.types import StoredMedia, SwapOptions, SwapOutput
from tokens import services as tokens_services
from tokens.types import Operation, RechargeItem, RechargeMode, RechargeRequest

TOKENS: Final = 1_000_000
SCOPES: Final = tuple(
    scope.value for scope in (Scope.JOBS_READ, Scope.JOBS_WRITE, Scope.LEDGER_READ)
)


@dataclass(frozen=True, slots=True)
class Customer:
    """An account that pays: its row, its key, and quotes that were not redeemed."""

    user_id: int
    key: str
    quote_ids: list[uuid.UUID]


def customers(*, count: int, quotes_count: int) -> list[Customer]:
    """Register accounts with tokens and so many open quotes each."""
    operator = accounts_services.register_user(
        username="operator", password=None, role=Role.OPERATOR
    )
    users = [
        accounts_services.register_user(username=f"bench-{number}", password=None)
        for number in range(count)
    ]
    tokens_services.bulk_recharge(
        request=RechargeRequest(
            items=tuple(RechargeItem(user_ref=user.user_ref, amount=TOKENS) for user in users),
            mode=RechargeMode.ATOMIC,
            operator="benchmark",
            reason="benchmark",
        ),
        actor_id=operator.pk,
        idempotency_key=uuid.uuid4().hex,
    )
    found = [
        Customer(
            user_id=user.pk,
            key=accounts_services.issue_api_key(user_id=user.pk, name="bench", scopes=SCOPES).key,
            quote_ids=_quotes(owner_id=user.pk, count=quotes_count),
        )
        for user in users
    ]
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return found


def submit(customer: Customer, *, count: int) -> list[uuid.UUID]:
    """Redeem the first quotes; the ids of the jobs."""
    return [
        services.submit_swap_job(
            owner_id=customer.user_id, quote_id=quote_id, idempotency_key=uuid.uuid4().hex
        ).job_id
        for quote_id in customer.quote_ids[:count]
    ]


def finish(job_id: uuid.UUID, *, owner_id: int) -> None:
    """Let a job succeed as a worker does, without the work: its result is never fetched."""
    claim = transitions.claim(job_id=job_id)
    assert claim is not None, "nobody else works here"
    media = StoredMedia(
        key=f"results/{owner_id}/{job_id}.jpg",
        sha256="0" * 64,
        content_type="image/jpeg",
        size_bytes=1,
        width_px=64,
        height_px=64,
    )
    transitions.finish(claim=claim, output=SwapOutput(media=media, faces=()))


def _quotes(*, owner_id: int, count: int) -> list[uuid.UUID]:
    """Quotes as the service drafts them, stored in one statement."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, "JPEG")
    asset = services.register_media(
        owner_id=owner_id, file=io.BytesIO(picture.getvalue()), name="picture.jpg"
    )
    asset = selectors.asset(owner_id=owner_id, asset_id=asset.pk)
    terms = terms_of(owner_id=owner_id, sources=[asset.pk])
    rows = [
        draft_quote(
            owner_id=owner_id,
            source=asset,
            target=asset,
            options=SwapOptions(),
            operation=Operation.IMAGE_SWAP,
            terms=terms,
        )
        for _ in range(count)
    ]
    SwapQuote.objects.bulk_create(rows)
    return [row.pk for row in rows]
