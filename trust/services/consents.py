"""Consents: attested, revoked, and the revocation carried out."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common import audit
from trust import consent_texts, selectors
from trust.errors import ConsentInvalidError, ConsentTextOutdatedError
from trust.models import Consent, ConsentAsset
from trust.signals import consent_revoked
from trust.types import (
    CONSENT_ASSETS_MAX,
    EVIDENCE_LENGTH_MAX,
    ConsentKind,
    ConsentOrder,
)

log = structlog.get_logger(__name__)


@transaction.atomic
def attest(*, owner_id: int, actor_id: int, order: ConsentOrder) -> Consent:
    """Keep a consent. Joins the caller's transaction, or owns one.

    Args:
        owner_id: the account whose uploads it is about.
        actor_id: who vouches for it.
        order: what is vouched for.

    Raises:
        ConsentInvalidError: something is missing, or does not go together.
        ConsentTextOutdatedError: the text that was agreed to is not the one in force.
    """
    _check(order)
    row = Consent.objects.create(
        owner_id=owner_id,
        attested_by_id=actor_id,
        kind=order.kind,
        uses=sorted(set(order.uses)),
        covers_account=not order.asset_ids,
        evidence=order.evidence.strip(),
        expires_at=order.expires_at,
        text_version=order.text_version,
        text_language=order.language,
        text_sha256=consent_texts.digest(kind=order.kind, language=order.language),
    )
    ConsentAsset.objects.bulk_create(
        ConsentAsset(consent=row, asset_id=asset_id) for asset_id in dict.fromkeys(order.asset_ids)
    )
    _record("consent.attested", row, actor_id=actor_id, before=None)
    return selectors.consent(owner_id=owner_id, consent_id=row.pk)


def revoke(*, owner_id: int, consent_id: uuid.UUID, actor_id: int) -> Consent:
    """Take a consent back: when this returns, its faces are gone and its jobs have ended.

    Owns its transaction; call it with none open. Repeating it changes nothing. What cannot be
    removed at once, because the storage does not answer, is removed by the sweep; it cannot be
    used meanwhile.

    Raises:
        ConsentNotFoundError: there is none, or it is somebody else's.
    """
    with transaction.atomic(durable=True):
        row = (
            Consent.objects.select_for_update(no_key=True)
            .filter(pk=consent_id, owner_id=owner_id)
            .first()
        )
        if row is not None and row.revoked_at is None:
            before = _state(row)
            row.revoked_at = timezone.now()
            row.revoked_by_id = actor_id
            row.save(update_fields=["revoked_at", "revoked_by"])
            _record("consent.revoked", row, actor_id=actor_id, before=before)
    if row is not None and row.enforced_at is None:
        consent_revoked.send(sender=Consent, consent_id=row.pk)
    return selectors.consent(owner_id=owner_id, consent_id=consent_id)


@transaction.atomic
def revocation_enforced(
    *, consent_id: uuid.UUID, digests: Mapping[uuid.UUID, str], now: dt.datetime | None = None
) -> None:
    """Note that the faces of a revoked consent are gone.

    Joins the caller's transaction, or owns one.

    Args:
        consent_id: which one.
        digests: SHA-256 of the uploads that it names, as they came, so that the same file is known
            again.
        now: when; this moment if None.
    """
    for asset in ConsentAsset.objects.filter(consent_id=consent_id, sha256=""):
        if digest := digests.get(asset.asset_id, ""):
            asset.sha256 = digest
            asset.save(update_fields=["sha256"])
    Consent.objects.filter(pk=consent_id, enforced_at__isnull=True).update(
        enforced_at=now or timezone.now()
    )
    log.info("trust.consent.enforced", consent_id=str(consent_id), uploads=len(digests))


def _check(order: ConsentOrder) -> None:
    if order.text_version != consent_texts.VERSION:
        raise ConsentTextOutdatedError(
            _("The text in force is version %(version)s.") % {"version": consent_texts.VERSION},
            param="text_version",
            text_version=consent_texts.VERSION,
        )
    if order.language not in consent_texts.LANGUAGES:
        raise ConsentInvalidError(_("The text is not written in this language."), param="language")
    if not order.uses:
        raise ConsentInvalidError(_("Say what the consent allows."), param="uses")
    if len(order.asset_ids) > CONSENT_ASSETS_MAX:
        raise ConsentInvalidError(
            _("One consent names at most %(max)d uploads.") % {"max": CONSENT_ASSETS_MAX},
            param="asset_ids",
        )
    if order.expires_at is not None and order.expires_at <= timezone.now():
        raise ConsentInvalidError(_("The consent would be over already."), param="expires_at")
    if len(order.evidence) > EVIDENCE_LENGTH_MAX:
        raise ConsentInvalidError(
            _("At most %(max)d characters.") % {"max": EVIDENCE_LENGTH_MAX}, param="evidence"
        )
    if order.kind is ConsentKind.SELF:
        return
    if not order.asset_ids:
        raise ConsentInvalidError(
            _("A consent of somebody else names the uploads that show the person."),
            param="asset_ids",
        )
    if not order.evidence.strip():
        raise ConsentInvalidError(_("Say where the document lies."), param="evidence")


def _record(action: str, row: Consent, *, actor_id: int, before: dict[str, Any] | None) -> None:
    audit.record(
        actor_id=actor_id,
        action=action,
        subject=f"consent:{row.pk}",
        before=before,
        after=_state(row),
    )


def _state(row: Consent) -> dict[str, Any]:
    return {
        "owner_id": row.owner_id,
        "kind": str(row.kind),
        "uses": [str(use) for use in row.uses],
        "uploads": [str(asset_id) for asset_id in row.assets.values_list("asset_id", flat=True)],
        "evidence": row.evidence,
        "expires_at": None if row.expires_at is None else row.expires_at.isoformat(),
        "text": f"{row.text_version}/{row.text_language}/{row.text_sha256}",
        "revoked_at": None if row.revoked_at is None else row.revoked_at.isoformat(),
    }
