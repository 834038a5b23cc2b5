"""Pages that show several apps at once: the start page and the studio."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import freeze_selectors
from accounts.types import Plan
from facefusion_site.common import limits
from facefusion_site.common.errors import DomainError
from inference import selectors as inference_selectors
from inference.errors import failure_text
from inference.selectors import JobDetail
from tokens import price_selectors
from tokens import selectors as tokens_selectors
from tokens import services as tokens_services
from tokens.types import Operation, StatementLine
from trust import consent_texts
from trust import selectors as trust_selectors
from trust.types import ConsentKind

_JOBS_SHOWN: Final = 6
_LINES_SHOWN: Final = 10
_LINE_TEXTS: Final[dict[str, Promise]] = {
    "recharge": _("Recharge"),
    "hold": _("Set aside for a swap"),
    "settle": _("Swap charged"),
    "release": _("Given back"),
    "overrun": _("Swap charged beyond its hold"),
    "expire": _("Expired"),
    "regrant": _("Given back after expiry"),
    "refund": _("Refund"),
    "reverse": _("Recharge reversed"),
    "credit": _("Correction upwards"),
    "debit": _("Correction downwards"),
}
_STATE_TEXTS: Final[dict[str, Promise]] = {
    "awaiting_input": _("Waiting for an upload"),
    "queued": _("Waiting"),
    "running": _("Running"),
    "succeeded": _("Ready"),
    "failed": _("Failed, not charged"),
    "blocked": _("Not allowed, not charged"),
    "canceled": _("Canceled"),
    "expired": _("Expired, not charged"),
}


@dataclass(frozen=True, slots=True)
class JobCard:
    """One job on the start page; the address opens it in the studio."""

    state: str
    state_text: str
    problem: str
    studio_url: str
    thumbnail_url: str | None
    created_at: dt.datetime
    settled: int


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One line of the statement on the start page; changes are signed token counts."""

    text: str
    recorded_at: dt.datetime
    available_change: int
    available_after: int
    held_after: int


@dataclass(frozen=True, slots=True)
class ClaimBox:
    """The tokens of the day on the start page; the text is a local time with its zone."""

    tokens: int
    is_available: bool
    available_at: dt.datetime
    available_text: str


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show what the product is, or the signed-in user's balance, jobs and statement."""
    if not request.user.is_authenticated:
        card = price_selectors.in_force().card
        prices = {
            "image_price": card.unit_tokens(Operation.IMAGE_SWAP, plan=Plan.FREE),
            "video_second_price": card.unit_tokens(Operation.VIDEO_SWAP, plan=Plan.FREE),
        }
        return render(request, "studio/landing.html", prices)
    owner_id = request.user.pk
    jobs, _next_jobs = inference_selectors.jobs(owner_id=owner_id, limit=_JOBS_SHOWN)
    page = tokens_selectors.statement(user_id=owner_id, limit=_LINES_SHOWN)
    context = {
        "freezes": freeze_selectors.freezes_to_tell(reader=request.user),
        "balance": tokens_selectors.balance(user_id=owner_id),
        "claim": _claim_box(owner_id),
        "jobs": [_job_card(detail) for detail in jobs],
        "statement": [_statement_row(line) for line in page.lines],
    }
    return render(request, "studio/home.html", context)


@never_cache
@login_required
@require_safe
def studio(request: HttpRequest) -> HttpResponse:
    """The page on which a person swaps a face; its script uses the public REST API."""
    limits = {
        "bytes_max": settings.UPLOAD_BYTES_MAX,
        "content_types": ["image/jpeg", "image/png", "image/webp"],
        "video_bytes_max": settings.VIDEO_BYTES_MAX,
        "video_types": ["video/mp4", "video/quicktime", "video/x-matroska", "video/webm"],
        # Some systems do not know a type for every video.
        "video_suffixes": [".mp4", ".mov", ".mkv", ".webm"],
    }
    urls = {name: reverse(name) for name in ("assets", "quotes", "jobs", "studio", "login")}
    context = {
        "freezes": freeze_selectors.freezes_to_tell(reader=request.user),
        "attest": _attest(request.user.pk),
        "megabytes_max": settings.UPLOAD_BYTES_MAX // (1024 * 1024),
        "video_megabytes_max": settings.VIDEO_BYTES_MAX // (1024 * 1024),
        "config": {"urls": urls, "limits": limits, "texts": _studio_texts()},
    }
    return render(request, "studio/studio.html", context)


@never_cache
@login_required
@require_POST
def claim(request: HttpRequest) -> HttpResponse:
    """Claim the tokens of the day, by the button on the start page."""
    user_id = request.user.pk
    assert user_id is not None, "nobody comes here without signing in"
    try:
        limits.check(request, group="daily-claim", rate="CLAIM_RATE", key="user", is_fail_open=True)
        claimed = tokens_services.claim_daily(
            user_id=user_id, time_zone=request.POST.get("time_zone") or None
        )
    except DomainError as error:
        messages.error(request, f"{error} {error.next_step}")
    else:
        text = _("%(tokens)d tokens are yours until midnight.") % {"tokens": claimed.claimed}
        messages.success(request, text)
    return redirect("home")


def _attest(owner_id: int | None) -> dict[str, str] | None:
    """What the person has to vouch for before her first swap; None once she has."""
    assert owner_id is not None, "nobody comes here without signing in"
    if not trust_selectors.must_attest(owner_id=owner_id):
        return None
    language = get_language() or settings.LANGUAGE_CODE
    if language not in consent_texts.LANGUAGES:
        language = settings.LANGUAGE_CODE
    return {
        "language": language,
        "version": consent_texts.VERSION,
        "text": consent_texts.text(kind=ConsentKind.SELF, language=language),
    }


def _claim_box(user_id: int) -> ClaimBox | None:
    """The box on the start page; None where the plan has no tokens to claim."""
    standing = tokens_services.daily_claim(user_id=user_id)
    if not standing.tokens or standing.available_at is None:
        return None
    local = standing.available_at.astimezone(ZoneInfo(standing.time_zone))
    return ClaimBox(
        tokens=standing.tokens,
        is_available=standing.is_available,
        available_at=standing.available_at,
        available_text=f"{local:%Y-%m-%d %H:%M} ({standing.time_zone})",
    )


def _job_card(detail: JobDetail) -> JobCard:
    job = detail.job
    state = job.status.lower()
    return JobCard(
        state=state,
        state_text=str(_STATE_TEXTS[state]),
        problem=str(failure_text(job.error_code)) if job.error_code else "",
        studio_url=f"{reverse('studio')}?job={job.pk}",
        thumbnail_url=reverse("job-thumbnail", kwargs={"job_id": job.pk})
        if job.has_result
        else None,
        created_at=job.created_at,
        settled=detail.receipt.settled,
    )


def _statement_row(line: StatementLine) -> StatementRow:
    transfer = line.transfer
    return StatementRow(
        text=str(_LINE_TEXTS[transfer.kind]),
        recorded_at=transfer.recorded_at,
        available_change=transfer.available_change,
        available_after=line.available_after,
        held_after=line.held_after,
    )


def _studio_texts() -> dict[str, Any]:
    """What the studio's script says; words in braces are filled in by it."""
    return {
        "uploading": gettext("Uploading…"),
        "uploaded": gettext("Ready: {width} by {height} pixels."),
        "uploaded_video": gettext(
            "Ready: {width} by {height} pixels, {seconds} seconds, {frames} frames."
        ),
        "wrong_target_type": gettext(
            "This file is neither a JPEG, PNG or WebP picture nor an MP4, MOV, MKV or WebM video. "
            "Choose another one."
        ),
        "wrong_type": gettext("This file is no JPEG, PNG or WebP picture. Choose another one."),
        "too_large": gettext("This file is larger than {megabytes} MB. Choose a smaller one."),
        "face": gettext("Face {number}"),
        "face_of_video": gettext("Face {number}, seen from {start} to {end} seconds"),
        "choose_face": gettext("Choose at least one face to replace."),
        "choose_both": gettext("Choose the face and the target to see the price."),
        "price_of_video": gettext("Started seconds: {seconds}, at {tokens} tokens each."),
        "pricing": gettext("Asking for the price…"),
        "price_of_moment": gettext("Price now: {percent} % of the ordinary one. {reason}"),
        "price_until": gettext("This price is promised until {time}."),
        "missing_tokens": gettext(
            "You have too few tokens for this swap. Ask the operator for a recharge."
        ),
        "submitting": gettext("Sending the swap…"),
        "state": {
            "awaiting_input": gettext("Waiting for an upload…"),
            "queued": gettext("Waiting for a free machine…"),
            "running": gettext("Working…"),
        },
        "stage": {
            "detect": gettext("Finding the faces…"),
            "prepare": gettext("Aligning the faces…"),
            "swap": gettext("Painting the new face…"),
            "blend": gettext("Blending it into the picture…"),
            "video": gettext("Swapping the faces, frame by frame…"),
            "join": gettext("Putting the parts together…"),
            "publish": gettext("Saving the result…"),
        },
        "frames": gettext("{done} of {all} frames"),
        "frames_left": gettext("{done} of {all} frames, about {seconds} seconds left"),
        "done": gettext("The swap is ready. Charged: {tokens}. Given back: {refunded}."),
        "failed": gettext("The swap failed and cost nothing: {tokens} given back."),
        "without_result": {
            "canceled": gettext("The swap was canceled."),
            "succeeded": gettext("The result was deleted."),
        },
        "cancel_free": gettext("Nothing is charged. You get back: {refunded}."),
        "cancel_part": gettext("Charged for what is done: {settled}. You get back: {refunded}."),
        "receipt": gettext("Charged: {tokens}. Given back: {refunded}."),
        "offline": gettext("The connection is lost. Trying again…"),
        "unreachable": gettext("The server cannot be reached. Check the connection, try again."),
        "signed_out": gettext("Your session has ended. Sign in again to go on."),
        "unexpected": gettext("The server gave an answer we do not understand. Try again."),
    }
