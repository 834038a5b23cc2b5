"""What trust has decided, carried out on media and jobs: revoked consents and blocked files.

Each step may be repeated: what a crash or a broken storage leaves is found again by the sweep.
"""

from __future__ import annotations

import uuid
from typing import Final

import structlog
from django.db.models import Q
from django.db.models.functions import Now

from facefusion_site.common.errors import DomainError
from inference import endings, media_handlers, storage
from inference.errors import FailureCode
from inference.media_errors import AssetInUseError
from inference.models import MediaAsset, SwapJob, SwapQuote
from inference.services.interventions import clean_up
from trust import selectors as trust_selectors
from trust import services as trust_services
from trust.types import Removal

log = structlog.get_logger(__name__)
Status = MediaAsset.Status
_SWEEP_LIMIT: Final = 100
# Each round ends up to twenty jobs; a source of more than this is finished by the sweep.
_ROUNDS_MAX: Final = 500


def enforce_trust(*, limit: int = _SWEEP_LIMIT) -> tuple[int, int]:
    """Finish what was left over; periodic.

    Returns:
        Consents and blocks that were looked at.
    """
    consent_ids = trust_selectors.revocations_to_enforce(limit=limit)
    for consent_id in consent_ids:
        enforce_revocation(consent_id=consent_id)
    digests = trust_selectors.blocks_to_enforce(limit=limit)
    for sha256 in digests:
        enforce_block(sha256=sha256)
    return len(consent_ids), len(digests)


def enforce_revocation(*, consent_id: uuid.UUID) -> bool:
    """End the jobs that take faces of a revoked consent, with a full refund; delete its sources.

    A source that another consent still names is left alone. Owns its transactions.

    Returns:
        False when something is left for the sweep.
    """
    consent = trust_selectors.revoked_consent(consent_id=consent_id)
    named = [asset.asset_id for asset in consent.assets.all()]
    if consent.covers_account:
        named = _sources_of(consent.owner_id)
    standing = trust_selectors.consent_standing(owner_id=consent.owner_id, asset_ids=named)
    if consent.covers_account and standing.is_account_covered():
        named = []
    rows = MediaAsset.objects.filter(owner_id=consent.owner_id, pk__in=named)
    sources = [asset for asset in rows if not standing.is_still_named(asset_id=asset.pk)]
    gone = [
        _remove(
            asset.pk, code=FailureCode.CONSENT_REVOKED, detail=f"Consent {consent_id} was revoked."
        )
        for asset in sources
        if asset.status != Status.DELETED
    ]
    if not all(gone):
        return False
    digests = {} if consent.covers_account else {a.pk: a.received_sha256 for a in sources}
    trust_services.revocation_enforced(consent_id=consent_id, digests=digests)
    return True


def enforce_block(*, sha256: str) -> bool:
    """Remove every upload and result with a blocked digest, whoever has it.

    Jobs that use such an upload end as blocked, with a full refund. Owns its transactions.

    Returns:
        False when something is left for the sweep.
    """
    rows = MediaAsset.objects.filter(Q(sha256=sha256) | Q(received_sha256=sha256))
    removals: list[Removal] = []
    is_complete = True
    for asset in rows.exclude(status=Status.DELETED):
        if _remove(asset.pk, code=FailureCode.CONTENT_BLOCKED, detail=f"{sha256} is blocked."):
            removals.append(Removal(asset.owner_id, "asset", asset.pk))
        else:
            is_complete = False
    for job in SwapJob.objects.filter(result_sha256=sha256):
        is_shown = SwapJob.objects.filter(pk=job.pk, result_deleted_at__isnull=True)
        if is_shown.update(result_deleted_at=Now()):
            removals.append(Removal(job.owner_id, "result", job.pk))
        is_complete &= _discard(job.pk)
    trust_services.block_enforced(sha256=sha256, removals=removals, is_complete=is_complete)
    return is_complete


def _sources_of(owner_id: int) -> list[uuid.UUID]:
    """Every upload of the account that a quote took a face from."""
    found: set[uuid.UUID] = set()
    quotes = SwapQuote.objects.filter(owner_id=owner_id)
    for source_id, options in quotes.values_list("source_id", "options").iterator():
        found.add(source_id)
        found.update(uuid.UUID(asset_id) for asset_id in options.get("source_asset_ids", ()))
    return list(found)


def _remove(asset_id: uuid.UUID, *, code: FailureCode, detail: str) -> bool:
    for _round in range(_ROUNDS_MAX):
        try:
            media_handlers.delete_now(asset_id=asset_id)
        except AssetInUseError as error:
            job_ids = error.context["job_ids"]
            assert isinstance(job_ids, list), "the refusal names the jobs"
            for job_id in job_ids:
                _end(uuid.UUID(job_id), code=code, detail=detail)
        except OSError:
            log.exception("inference.enforcement.not_removed", asset_id=str(asset_id))
            return False
        else:
            return True
    return False


def _end(job_id: uuid.UUID, *, code: FailureCode, detail: str) -> None:
    try:
        endings.stop(job_id=job_id, code=code, detail=detail)
    except DomainError as error:
        # It ended by itself in the meantime.
        log.info("inference.enforcement.job_not_ended", job_id=str(job_id), code=error.code)
    else:
        clean_up(job_id)


def _discard(job_id: uuid.UUID) -> bool:
    try:
        storage.delete_results(job_id=job_id, keep_key=None)
    except OSError:
        log.exception("inference.results.not_discarded", job_id=str(job_id))
        return False
    return True
