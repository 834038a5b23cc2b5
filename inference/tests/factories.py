"""Users with tokens, pictures, quotes and jobs, made through the services themselves."""

from __future__ import annotations

import datetime as dt
import io
import struct
import uuid
import zlib
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.utils import timezone
from PIL import Image

from accounts import services as accounts_services
from accounts.types import Role
from inference import services, transitions
from inference.models import MediaAsset, SwapJob, SwapQuote
from inference.types import Claim, SwapOptions
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services
from tokens.types import Balance, RechargeItem, RechargeMode, RechargeRequest


def make_user(*, tokens: int = 0, role: Role = Role.USER):
    """A user with a recharged wallet. Needs a test that may own transactions when tokens > 0."""
    name = f"user-{uuid.uuid4().hex[:12]}"
    user = accounts_services.register_user(username=name, password=None, user_ref=name, role=role)
    if tokens:
        tokens_services.bulk_recharge(
            request=RechargeRequest(
                items=(RechargeItem(user_ref=name, amount=tokens),),
                mode=RechargeMode.ATOMIC,
                operator="tests",
                reason="tests",
            ),
            actor_id=user.pk,
            idempotency_key=uuid.uuid4().hex,
        )
    return user


def picture(*, width: int = 64, height: int = 48, format: str = "JPEG", seed: int = 0) -> bytes:  # noqa: A002
    """A small picture without a face."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, format)
    return out.getvalue()


def png_header(*, width: int, height: int) -> bytes:
    """A PNG that announces a size and has next to no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def make_asset(*, owner_id: int, data: bytes | None = None) -> MediaAsset:
    return services.register_media(
        owner_id=owner_id, file=io.BytesIO(data or picture()), name="picture.jpg"
    )


def make_quote(
    *, owner_id: int, source: bytes | None = None, target: bytes | None = None
) -> SwapQuote:
    return services.quote_swap(
        owner_id=owner_id,
        source_asset_id=make_asset(owner_id=owner_id, data=source).pk,
        target_asset_id=make_asset(owner_id=owner_id, data=target).pk,
        options=SwapOptions(),
    )


def make_job(*, owner_id: int, source: bytes | None = None, target: bytes | None = None) -> SwapJob:
    """A queued job with its hold; its message is only sent where the test commits."""
    quote = make_quote(owner_id=owner_id, source=source, target=target)
    submitted = services.submit_swap_job(
        owner_id=owner_id, quote_id=quote.pk, idempotency_key=uuid.uuid4().hex
    )
    return SwapJob.objects.get(pk=submitted.job_id)


def take(job: SwapJob) -> Claim:
    """Claim a job that is there to be claimed."""
    claim = transitions.claim(job_id=job.pk)
    assert claim is not None
    return claim


def expire(quote: SwapQuote) -> None:
    SwapQuote.objects.filter(pk=quote.pk).update(
        expires_at=timezone.now() - dt.timedelta(seconds=1)
    )


def lapse_lease(job_id: uuid.UUID) -> None:
    """As if the worker had been silent for longer than its lease."""
    SwapJob.objects.filter(pk=job_id, lease_expires_at__isnull=False).update(
        lease_expires_at=timezone.now() - dt.timedelta(seconds=1)
    )


def close_hold(job: SwapJob) -> None:
    """The tokens go back unasked, as when the ledger's sweep finds an overdue hold."""
    assert job.hold_id is not None
    with transaction.atomic():
        assert tokens_services.void_hold(hold_id=job.hold_id)


def shown_progress(
    *, stage: str | None, percent: int, queue_position: int | None = None
) -> dict[str, object]:
    """How the API shows the progress of a picture, which has no frames and no segments."""
    of_videos = ("frames_done", "frames", "eta_s", "segments_done", "segments")
    return {
        "stage": stage,
        "percent": percent,
        "queue_position": queue_position,
        **dict.fromkeys(of_videos),
    }


@dataclass(frozen=True)
class Books:
    """The wallet and how often each kind of transfer happened for a job's hold."""

    balance: Balance
    kinds: tuple[str, ...]


def books(job: SwapJob) -> Books:
    assert job.hold_id is not None
    receipt = tokens_selectors.hold_receipt(hold_id=job.hold_id)
    return Books(
        balance=tokens_selectors.balance(user_id=job.owner_id),
        kinds=tuple(transfer.kind for transfer in receipt.transfers),
    )
