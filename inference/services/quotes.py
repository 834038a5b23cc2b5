"""Prices of swaps, promised for a while."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common.errors import InvalidRequestError
from inference import option_checks, sandbox_media
from inference.errors import (
    InvalidTrimError,
    ModelNotInstalledError,
    OperationMismatchError,
    ResultTooLargeError,
    SourceNotAPictureError,
    SwapOptionsError,
)
from inference.job_errors import InputsMissingError
from inference.models import MediaAsset, SwapQuote
from inference.pipeline import errors as pipeline_errors
from inference.services.castings import check_casting
from inference.types import SwapOptions, VideoOptions
from tokens import price_selectors
from tokens import services as tokens_services
from tokens.price_types import Tariff
from tokens.types import Operation, UsageLine
from trust import selectors as trust_selectors
from trust.selectors import ConsentStanding

_KINDS: Final = {
    Operation.IMAGE_SWAP: MediaAsset.Kind.IMAGE,
    Operation.VIDEO_SWAP: MediaAsset.Kind.VIDEO,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for all quotes of an account at one moment: prices, and whose faces may be used.

    ``consents`` is about the sources that it was read for.
    """

    tariff: Tariff
    consents: ConsentStanding


def quote_again(*, quote: SwapQuote) -> SwapQuote:
    """A new quote for the same swap, as prices are now.

    Raises:
        DomainError: as ``quote_swap``.
    """
    return quote_swap(
        owner_id=quote.owner_id,
        source_asset_id=quote.source_id,
        target_asset_id=quote.target_id,
        options=SwapOptions.from_json(quote.options),
        operation=Operation[quote.operation],
    )


def quote_swap(
    *,
    owner_id: int,
    source_asset_id: uuid.UUID,
    target_asset_id: uuid.UUID,
    options: SwapOptions,
    operation: Operation = Operation.IMAGE_SWAP,
) -> SwapQuote:
    """Promise a price for putting the source's face on the target, for QUOTE_TTL_S seconds.

    Costs nothing and holds nothing. A video is priced by the started seconds of its wanted part.

    Raises:
        AssetNotFoundError: an upload does not exist or is somebody else's.
        SandboxMediaError: an upload that forces an outcome, and the owner is no sandbox.
        SourceNotAPictureError: the source is a video.
        OperationMismatchError: the operation does not fit the target's kind.
        InvalidTrimError: the wanted part of the video is empty or lies behind its end.
        SwapOptionsError: the engine does not take ``options.spec``, or a model is not offered.
        ModelNotInstalledError: an option needs a model that is not there.
        ResultTooLargeError: the target would be enlarged beyond the limits.
        InvalidRequestError: video options for a picture.
        InputsMissingError: the target is a video whose upload is not complete.
        DomainError: faces that are named, and consent for them, see ``check_casting``.
    """
    quote = draft_quote(
        owner_id=owner_id,
        source=sandbox_media.input_asset(
            owner_id=owner_id, asset_id=source_asset_id, param="source_asset_id"
        ),
        target=sandbox_media.input_asset(
            owner_id=owner_id, asset_id=target_asset_id, param="target_asset_id"
        ),
        options=options,
        operation=operation,
        terms=terms_of(owner_id=owner_id, sources=[source_asset_id, *options.source_asset_ids]),
    )
    quote.save(force_insert=True)
    return quote


def terms_of(*, owner_id: int, sources: Collection[uuid.UUID]) -> Terms:
    """The terms of an account for swaps that take faces from these uploads."""
    return Terms(
        tariff=price_selectors.tariff_of(owner_id=owner_id),
        consents=trust_selectors.consent_standing(owner_id=owner_id, asset_ids=sources),
    )


def draft_quote(
    *,
    owner_id: int,
    source: MediaAsset,
    target: MediaAsset,
    options: SwapOptions,
    operation: Operation,
    terms: Terms,
) -> SwapQuote:
    """A quote for its owner on the owner's terms, and not yet stored.

    Raises:
        DomainError: as ``quote_swap``, except for uploads that do not exist.
    """
    _check_media(source=source, target=target, operation=operation)
    options = _checked(options, target=target)
    check_casting(
        owner_id=owner_id, source=source, target=target, options=options, consents=terms.consents
    )
    tariff = terms.tariff
    line = UsageLine(operation=operation, quantity=_quantity(target, options))
    price = tokens_services.price_usage(lines=[line], tariff=tariff)
    shadow = tariff.shadow
    return SwapQuote(
        owner_id=owner_id,
        operation=operation.name,
        source=source,
        target=target,
        options=options.to_json(),
        tokens=price.tokens,
        price_lines=[
            {
                "operation": line.operation.value,
                "quantity": line.quantity,
                "units": line.units,
                "unit_price": line.unit_price,
                "multiplier_bp": line.multiplier_bp,
                "tokens": line.tokens,
            }
            for line in price.lines
        ],
        plan=tariff.plan,
        rate_card_version=tariff.card.version,
        multiplier_bp=tariff.multiplier_bp,
        price_reason=tariff.reason.value,
        shadow_card_version=None if shadow is None else shadow.card.version,
        shadow_tokens=None
        if shadow is None
        else tokens_services.price_usage(lines=[line], tariff=shadow).tokens,
        expires_at=timezone.now() + dt.timedelta(seconds=settings.QUOTE_TTL_S),
    )


def _check_media(*, source: MediaAsset, target: MediaAsset, operation: Operation) -> None:
    if source.kind != MediaAsset.Kind.IMAGE:
        raise SourceNotAPictureError(_("The source is a video."), param="source_asset_id")
    if _KINDS[operation] != target.kind:
        raise OperationMismatchError(
            _("This operation does not fit the target."),
            param="operation",
            target_kind=target.kind.lower(),
        )
    if target.kind == MediaAsset.Kind.VIDEO and target.status != MediaAsset.Status.READY:
        raise InputsMissingError(
            _("The length of a video, and so its price, is known once it is uploaded."),
            param="target_asset_id",
        )


def _checked(options: SwapOptions, *, target: MediaAsset) -> SwapOptions:
    """The options with what follows from the target filled in."""
    try:
        missing = option_checks.check_options(options, target=target)
    except pipeline_errors.ResultTooLargeError as error:
        raise ResultTooLargeError(str(error), param=_param(error.param, options)) from error
    except pipeline_errors.InvalidOptionsError as error:
        raise SwapOptionsError(str(error), param=_param(error.param, options)) from error
    if missing is not None:
        raise ModelNotInstalledError(
            _("The model “%(model)s” is not installed here.") % {"model": missing.key},
            param=_param(missing.param, options),
            model=missing.key,
        )
    if target.duration_ms is None:
        if options.video is not None:
            raise InvalidRequestError(_("The target is a picture."), param="options.video")
        return options
    video = options.video or VideoOptions()
    end_ms = target.duration_ms if video.end_ms is None else video.end_ms
    if not 0 <= video.start_ms < end_ms or video.start_ms >= target.duration_ms:
        raise InvalidTrimError(
            _("The part must lie within the %(ms)d milliseconds of the video.")
            % {"ms": target.duration_ms},
            param="options.video",
            duration_ms=target.duration_ms,
        )
    return dataclasses.replace(options, video=video)


def _param(param: str, options: SwapOptions) -> str:
    """Where the caller said what the engine refuses."""
    _selector, _dot, name = param.partition("selector.filter")
    if _dot and options.filter is not None:
        return f"options.filter{name}"
    return f"options.spec.{param}"


def _quantity(target: MediaAsset, options: SwapOptions) -> int:
    """Pictures, or milliseconds of the wanted part of a video."""
    if options.video is None or target.duration_ms is None:
        return 1
    end_ms = target.duration_ms if options.video.end_ms is None else options.video.end_ms
    return min(end_ms, target.duration_ms) - options.video.start_ms
