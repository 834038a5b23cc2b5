"""What the interfaces may ask of inference."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from functools import partial
from typing import BinaryIO, Final

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common import idempotency
from facefusion_site.common.celery import send_on_commit
from inference import handlers, selectors, storage, tasks, transitions
from inference.errors import (
    ImageTooLargeError,
    QuoteExpiredError,
    QuoteRedeemedError,
    UnreadableImageError,
    UnsupportedImageError,
    UploadTooLargeError,
)
from inference.models import MediaAsset, SwapJob, SwapQuote
from inference.pipeline import errors as pipeline_errors
from inference.pipeline import image_io
from inference.pipeline.types import Image, ImageInfo
from inference.types import SubmittedJob, SwapOptions
from tokens import services as tokens_services
from tokens.types import Operation, UsageLine

log = structlog.get_logger(__name__)
_NAME_LENGTH_MAX: Final = 255
_CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def register_media(*, owner_id: int, file: BinaryIO, name: str) -> MediaAsset:
    """Check a picture and keep it.

    All of it is decoded here, so that a damaged file is refused now and not after it was paid for.
    Writes the file before the row: a crash in between leaves a file that nobody can see.

    Args:
        owner_id: primary key of the uploading user.
        file: an open binary file; read once, up to the size limit.
        name: what the client calls the file; kept for show only.

    Raises:
        UploadTooLargeError: more than UPLOAD_BYTES_MAX bytes.
        UnsupportedImageError: no picture of a known format.
        ImageTooLargeError: more pixels or a longer side than allowed; seen before decoding.
        UnreadableImageError: damaged or cut short.
    """
    data = file.read(settings.UPLOAD_BYTES_MAX + 1)
    if len(data) > settings.UPLOAD_BYTES_MAX:
        raise upload_too_large()
    info, image_bgr = _decode(data)
    asset_id = uuid.uuid4()
    key = storage.asset_key(asset_id=asset_id, content_type=info.content_type)
    height_px, width_px = image_bgr.shape[:2]
    sha256 = storage.write_picture(
        key=key,
        data=data,
        thumbnail=image_io.thumbnail(image_bgr, side_px=storage.THUMBNAIL_SIDE_PX),
    )
    return MediaAsset.objects.create(
        id=asset_id,
        owner_id=owner_id,
        file_key=key,
        original_name=_display_name(name),
        content_type=info.content_type,
        size_bytes=len(data),
        width_px=width_px,
        height_px=height_px,
        sha256=sha256,
    )


def upload_too_large() -> UploadTooLargeError:
    """The refusal of an upload by its size, for interfaces that know the size before the bytes."""
    return UploadTooLargeError(
        _("A file may have %(max)d bytes.") % {"max": settings.UPLOAD_BYTES_MAX},
        param="file",
        bytes_max=settings.UPLOAD_BYTES_MAX,
    )


def quote_swap(
    *,
    owner_id: int,
    source_asset_id: uuid.UUID,
    target_asset_id: uuid.UUID,
    options: SwapOptions,
) -> SwapQuote:
    """Promise a price for putting the source's face on the target, for QUOTE_TTL_S seconds.

    Costs nothing and holds nothing.

    Raises:
        AssetNotFoundError: an upload does not exist or is somebody else's.
    """
    source = selectors.asset(owner_id=owner_id, asset_id=source_asset_id, param="source_asset_id")
    target = selectors.asset(owner_id=owner_id, asset_id=target_asset_id, param="target_asset_id")
    price = tokens_services.price_usage(
        lines=[UsageLine(operation=Operation.IMAGE_SWAP, quantity=1)]
    )
    return SwapQuote.objects.create(
        owner_id=owner_id,
        operation=SwapQuote.Operation.IMAGE_SWAP,
        source=source,
        target=target,
        options=options.to_json(),
        tokens=price.tokens,
        price_lines=[
            {
                "operation": line.operation.value,
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "tokens": line.tokens,
            }
            for line in price.lines
        ],
        expires_at=timezone.now() + dt.timedelta(seconds=settings.QUOTE_TTL_S),
    )


@transaction.atomic(durable=True)
def submit_swap_job(*, owner_id: int, quote_id: uuid.UUID, idempotency_key: str) -> SubmittedJob:
    """Redeem a quote: store the job, hold its price, queue it after the commit.

    Owns its transaction. The insert decides between requests that arrive at once, both for the key
    and for the quote; whoever loses reads the winner's row. Repeating a request returns the same
    job for ever, also after the quote expired.

    Raises:
        IdempotencyKeyReusedError: the key was used with another quote.
        QuoteNotFoundError: there is no such quote, or it is somebody else's.
        QuoteRedeemedError: another job was paid with the quote.
        QuoteExpiredError: the promise is over; nothing is stored.
        InsufficientTokensError: the wallet cannot cover the price; nothing is stored.
        WalletFrozenError: an operator keeps the wallet frozen; nothing is stored.
        WalletClosedError: the wallet is closed; nothing is stored.
    """
    fingerprint = idempotency.fingerprint({"quote_id": quote_id})
    earlier = selectors.job_by_key(owner_id=owner_id, idempotency_key=idempotency_key)
    if earlier is not None:
        return _replay(earlier, fingerprint=fingerprint)
    quote = selectors.quote(owner_id=owner_id, quote_id=quote_id, param="quote_id")
    try:
        # The savepoint keeps the transaction usable after a refused insert.
        with transaction.atomic():
            job = SwapJob.objects.create(
                owner_id=owner_id,
                idempotency_key=idempotency_key,
                request_fingerprint=fingerprint,
                quote=quote,
            )
    except IntegrityError as error:
        earlier = selectors.job_by_key(owner_id=owner_id, idempotency_key=idempotency_key)
        if earlier is not None:
            return _replay(earlier, fingerprint=fingerprint)
        if not SwapJob.objects.filter(quote=quote).exists():
            raise
        raise QuoteRedeemedError(
            _("Another job was already paid with this quote."), param="quote_id"
        ) from error
    # Looked at after the insert: a repeat of a request that made it in time is never "expired".
    now = timezone.now()
    if quote.expires_at <= now:
        raise QuoteExpiredError(_("The quote's time is over."), param="quote_id")
    job.hold_id = tokens_services.place_hold(
        owner_id=owner_id,
        amount=quote.tokens,
        reference=f"swap_job:{job.pk}",
        expires_at=now + dt.timedelta(seconds=settings.HOLD_TTL_S),
        operation=Operation[quote.operation],
    )
    job.save(update_fields=["hold"])
    send_on_commit(tasks.run_swap_job, job_id=str(job.pk))
    transaction.on_commit(
        partial(log.info, "inference.job.accepted", job_id=str(job.pk), tokens=quote.tokens)
    )
    return SubmittedJob(job_id=job.pk, is_replay=False)


def requeue_swap_job(*, job_id: uuid.UUID, actor_id: int) -> None:
    """Give a job that has not ended to a new worker; for operators.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
    """
    transitions.requeue(job_id=job_id)
    send_on_commit(tasks.run_swap_job, job_id=str(job_id))
    log.info("inference.job.requeued_by_operator", job_id=str(job_id), actor_id=actor_id)


def stop_swap_job(*, job_id: uuid.UUID, actor_id: int) -> None:
    """End a job that has not ended and give every token back; for operators.

    Raises:
        JobNotFoundError: there is no such job.
        JobFinishedError: the job has ended.
    """
    transitions.stop(job_id=job_id, detail=f"Stopped by user {actor_id}.")
    handlers.discard_results(job_id=job_id, keep_key=None)
    log.info("inference.job.stopped_by_operator", job_id=str(job_id), actor_id=actor_id)


def _decode(data: bytes) -> tuple[ImageInfo, Image]:
    """Check and decode an upload; the pipeline's refusals become the API's."""
    limits = image_io.ImageLimits(
        pixels_max=settings.IMAGE_PIXELS_MAX, side_max_px=settings.IMAGE_SIDE_MAX_PX
    )
    try:
        info = image_io.probe_image(data, limits=limits)
        image_bgr = image_io.decode_image(data, limits=limits)
    except pipeline_errors.UnsupportedImageError as error:
        raise UnsupportedImageError(
            _("The file is not a JPEG, PNG or still WebP picture."), param="file"
        ) from error
    except pipeline_errors.ImageTooLargeError as error:
        raise ImageTooLargeError(
            _("A picture may have %(pixels)d pixels and %(side)d pixels a side.")
            % {"pixels": limits.pixels_max, "side": limits.side_max_px},
            param="file",
            pixels_max=limits.pixels_max,
            side_max_px=limits.side_max_px,
        ) from error
    except pipeline_errors.UnreadableImageError as error:
        raise UnreadableImageError(
            _("The picture is damaged or cut short."), param="file"
        ) from error
    return info, image_bgr


def _replay(job: SwapJob, *, fingerprint: str) -> SubmittedJob:
    if job.request_fingerprint != fingerprint:
        raise idempotency.IdempotencyKeyReusedError(
            _("This Idempotency-Key was used with another quote."), param=idempotency.KEY_HEADER
        )
    return SubmittedJob(job_id=job.pk, is_replay=True)


def _display_name(name: str) -> str:
    """The last part of a path, without characters that could disturb a page or a log."""
    last_part = re.split(r"[\\/]", name)[-1]
    return _CONTROL_CHARACTERS.sub("", last_part).strip()[:_NAME_LENGTH_MAX]
