"""Reports of pictures and videos: received from anybody, decided within 48 hours."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Sequence
from typing import Any, Final

import structlog
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import selectors as accounts_selectors
from accounts import services as accounts_services
from accounts.errors import RoleRequiredError
from accounts.types import Scope
from accounts.webhook_types import WebhookEventType
from facefusion_site.common import audit
from trust.errors import TakedownDecidedError, TakedownInvalidError, TakedownNotFoundError
from trust.models import BlockedHash, Takedown
from trust.signals import hash_blocked
from trust.types import (
    NOTE_LENGTH_MAX,
    SHA256_PATTERN,
    STATEMENT_LENGTH_MAX,
    TAKEDOWN_CLOCK,
    Removal,
    TakedownOrder,
    TakedownReason,
    TakedownState,
    tidy_hashes,
)

log = structlog.get_logger(__name__)
# Without letters and digits that are taken for others.
_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_REFERENCE_LENGTH: Final = 12
_DIGESTS_MAX: Final = 100
_SHA256: Final = re.compile(SHA256_PATTERN)


@transaction.atomic
def report(*, order: TakedownOrder) -> Takedown:
    """Receive a report; the clock of 48 hours begins. Joins the caller's transaction, or owns one.

    Raises:
        TakedownInvalidError: nothing says what is meant, or whom to answer.
    """
    digests = _digests([order.sha256], param="sha256")
    _check(order, has_digest=bool(digests))
    row = Takedown.objects.create(
        reference="TD-" + "".join(secrets.choice(_ALPHABET) for _place in range(_REFERENCE_LENGTH)),
        reason=order.reason,
        contact=order.contact.strip(),
        statement=order.statement.strip(),
        link=order.link.strip(),
        sha256=digests[0] if digests else "",
        is_copy_sent=order.is_copy_sent,
        due_at=timezone.now() + TAKEDOWN_CLOCK,
    )
    row.refresh_from_db()
    audit.record(
        actor_id=None,
        action="takedown.received",
        subject=f"takedown:{row.reference}",
        before=None,
        after=_state(row),
    )
    log.info("trust.takedown.received", reference=row.reference, reason=row.reason)
    return row


def uphold(*, takedown_id: uuid.UUID, actor_id: int, sha256s: list[str], note: str) -> Takedown:
    """Agree with a report: block the digests, remove what has them, tell its owners.

    Owns its transaction; call it with none open. What cannot be removed at once is removed by the
    sweep, and cannot be brought in again meanwhile.

    Args:
        takedown_id: which one.
        actor_id: a member of staff who may look at media.
        sha256s: what is blocked; of what was reported or found.
        note: what the reporter is told.

    Raises:
        RoleRequiredError: the actor's role decides about no media.
        TakedownNotFoundError: there is no such report.
        TakedownDecidedError: somebody decided it before.
        TakedownInvalidError: no digest, one that is none, or no note.
    """
    digests = _digests(sha256s, param="sha256s")
    if not digests:
        raise TakedownInvalidError(_("Say which file is blocked."), param="sha256s")
    with transaction.atomic(durable=True):
        row = _decide(takedown_id, TakedownState.UPHELD, actor_id=actor_id, note=note)
        BlockedHash.objects.bulk_create(
            (BlockedHash(sha256=digest, takedown=row) for digest in digests), ignore_conflicts=True
        )
        _record_decision(row, actor_id=actor_id, blocked=digests)
    for digest in digests:
        hash_blocked.send(sender=BlockedHash, sha256=digest)
    return row


@transaction.atomic
def reject(*, takedown_id: uuid.UUID, actor_id: int, note: str) -> Takedown:
    """Disagree with a report, with the reason as note. Joins the caller's transaction, or owns one.

    Raises:
        RoleRequiredError: the actor's role decides about no media.
        TakedownNotFoundError: there is no such report.
        TakedownDecidedError: somebody decided it before.
        TakedownInvalidError: no note.
    """
    row = _decide(takedown_id, TakedownState.REJECTED, actor_id=actor_id, note=note)
    _record_decision(row, actor_id=actor_id, blocked=())
    return row


@transaction.atomic
def block_enforced(*, sha256: str, removals: Sequence[Removal], is_complete: bool) -> None:
    """Note what a block removed just now, and tell the owners.

    Joins the caller's transaction, or owns one. Where not everything could be removed, the sweep
    tries again and calls this with the rest.
    """
    block = (
        BlockedHash.objects.select_for_update(no_key=True).select_related("takedown").get(pk=sha256)
    )
    if is_complete:
        block.enforced_at = timezone.now()
    block.removed_count += len(removals)
    block.save(update_fields=["enforced_at", "removed_count"])
    for removal in removals:
        data = {"kind": removal.kind, "id": str(removal.id), "reason": "takedown"}
        audit.record(
            actor_id=None,
            action="media.removed",
            subject=f"{removal.kind}:{removal.id}",
            before=None,
            after={**data, "sha256": sha256, "takedown": block.takedown.reference},
        )
        accounts_services.enqueue_webhook(
            event_type=WebhookEventType.MEDIA_REMOVED, user_id=removal.owner_id, data=data
        )
    log.info("trust.block.enforced", reference=block.takedown.reference, removed=len(removals))


def _check(order: TakedownOrder, *, has_digest: bool) -> None:
    if not has_digest and not order.link.strip():
        raise TakedownInvalidError(
            _("Give the address, the SHA-256, or a copy of the file."), param="link"
        )
    if order.link.strip():
        try:
            URLValidator(schemes=["http", "https"])(order.link.strip())
        except ValidationError as error:
            raise TakedownInvalidError(_("This is no web address."), param="link") from error
    try:
        validate_email(order.contact.strip())
    except ValidationError as error:
        raise TakedownInvalidError(
            _("Give an e-mail address that we can answer to."), param="contact"
        ) from error
    if not 1 <= len(order.statement.strip()) <= STATEMENT_LENGTH_MAX:
        raise TakedownInvalidError(
            _("Say in 1 to %(max)d characters what is wrong.") % {"max": STATEMENT_LENGTH_MAX},
            param="statement",
        )
    if order.reason not in TakedownReason.values:
        raise TakedownInvalidError(_("Choose one of the reasons."), param="reason")


def _digests(texts: list[str], *, param: str) -> tuple[str, ...]:
    digests = tidy_hashes(texts)
    if len(digests) > _DIGESTS_MAX or not all(_SHA256.fullmatch(digest) for digest in digests):
        raise TakedownInvalidError(
            _("A SHA-256 is 64 digits from 0 to 9 and a to f; at most %(max)d of them.")
            % {"max": _DIGESTS_MAX},
            param=param,
        )
    return digests


def _decide(takedown_id: uuid.UUID, state: TakedownState, *, actor_id: int, note: str) -> Takedown:
    if not accounts_selectors.active_may(user_id=actor_id, scopes=[Scope.MEDIA_REVIEW]):
        raise RoleRequiredError(_("Your role decides about no media."))
    words = note.strip()
    if not 1 <= len(words) <= NOTE_LENGTH_MAX:
        raise TakedownInvalidError(
            _("Tell the reporter in 1 to %(max)d characters why.") % {"max": NOTE_LENGTH_MAX},
            param="note",
        )
    row = Takedown.objects.select_for_update(no_key=True).filter(pk=takedown_id).first()
    if row is None:
        raise TakedownNotFoundError(_("There is no such report."))
    if row.state != TakedownState.OPEN:
        raise TakedownDecidedError(_("This report was decided before."), state=row.state)
    row.state = state
    row.decided_at = timezone.now()
    row.decided_by_id = actor_id
    row.note = words
    row.save(update_fields=["state", "decided_at", "decided_by", "note"])
    return row


def _record_decision(row: Takedown, *, actor_id: int, blocked: tuple[str, ...]) -> None:
    audit.record(
        actor_id=actor_id,
        action=f"takedown.{row.state}",
        subject=f"takedown:{row.reference}",
        before={"state": TakedownState.OPEN.value},
        after={**_state(row), "blocked": list(blocked)},
    )


def _state(row: Takedown) -> dict[str, Any]:
    """As audit events keep it: without the contact, which is personal and may be deleted."""
    return {
        "state": str(row.state),
        "reason": str(row.reason),
        "sha256": row.sha256,
        "due_at": row.due_at.isoformat(),
        "note": row.note,
    }
