"""Read queries of trust, and the questions that apps which keep media ask."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db.models import Count, F, FilteredRelation, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from facefusion_site.common.pages import newest_first
from trust import consent_texts
from trust.errors import (
    ConsentNotFoundError,
    ConsentRequiredError,
    ConsentRevokedError,
    ContentBlockedError,
    ReceiptNotFoundError,
    TakedownNotFoundError,
)
from trust.models import BlockedHash, Consent, ConsentAsset, ErasureReceipt, Takedown
from trust.types import ConsentKind, ConsentPolicy, ConsentUse, OpenWork, TakedownState

_NO_ASSET: Final = uuid.UUID(int=0)
# Longer than a request takes.
_LOOK_AGAIN_FOR: Final = dt.timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Fact:
    """One consent as far as it is about one upload; of None it is about all of the account."""

    asset_id: uuid.UUID | None
    kind: str
    uses: frozenset[str]
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class ConsentStanding:
    """What an account has vouched for about some uploads, read at once."""

    facts: tuple[_Fact, ...]
    policy: ConsentPolicy
    read_at: dt.datetime

    def require(self, *, asset_id: uuid.UUID, use: ConsentUse, param: str | None = None) -> None:
        """Refuse a source whose face may not be used so.

        A consent that names the upload counts before one for the whole account: where the newest
        that names it was revoked, no general word makes up for it.

        Args:
            asset_id: the source, one of those that the standing was read for.
            use: what for.
            param: the field that named it.

        Raises:
            ConsentRevokedError: the consent was revoked, and nobody has consented anew.
            ConsentRequiredError: nobody has vouched for it, for this use, or up to now.
        """
        named = [fact for fact in self.facts if fact.asset_id == asset_id]
        newest = max(named, key=lambda fact: fact.created_at, default=None)
        is_covered = any(self._holds(fact, use) for fact in named)
        if newest is not None and newest.revoked_at is not None and not is_covered:
            raise _revoked(asset_id, param)
        if self.policy is ConsentPolicy.OFF or is_covered:
            return
        general = [fact for fact in self.facts if fact.asset_id is None]
        if any(self._holds(fact, use) for fact in general):
            return
        if self.policy is ConsentPolicy.ATTEST and any(fact.revoked_at for fact in general):
            raise _revoked(asset_id, param)
        raise ConsentRequiredError(
            _("Nobody has vouched for the face of this source."),
            param=param,
            asset_id=str(asset_id),
            policy=self.policy.value,
        )

    def is_account_covered(self) -> bool:
        """Whether another consent stands for the whole account."""
        return any(fact.asset_id is None and self._stands(fact) for fact in self.facts)

    def is_still_named(self, *, asset_id: uuid.UUID) -> bool:
        """Whether another consent stands that names the upload."""
        return any(fact.asset_id == asset_id and self._stands(fact) for fact in self.facts)

    def is_attested(self) -> bool:
        """Whether the account's word for its own faces covers every use."""
        general = [fact for fact in self.facts if fact.asset_id is None]
        return all(any(self._holds(fact, use) for fact in general) for use in ConsentUse)

    def _stands(self, fact: _Fact) -> bool:
        is_over = fact.expires_at is not None and fact.expires_at <= self.read_at
        return fact.revoked_at is None and not is_over

    def _holds(self, fact: _Fact, use: ConsentUse) -> bool:
        if not self._stands(fact) or use not in fact.uses:
            return False
        return self.policy is not ConsentPolicy.DOCUMENTED or fact.kind != ConsentKind.SELF


def consent_standing(*, owner_id: int, asset_ids: Collection[uuid.UUID]) -> ConsentStanding:
    """What an account has vouched for about these uploads. One query."""
    # Django takes a join that can match nothing for a query that finds nothing.
    wanted = list(asset_ids) or [_NO_ASSET]
    named = FilteredRelation("assets", condition=Q(assets__asset_id__in=wanted))
    rows = (
        Consent.objects.filter(owner_id=owner_id)
        .annotate(named=named, named_id=F("named__asset_id"))
        .filter(Q(covers_account=True) | Q(named__isnull=False))
    )
    columns = ("named_id", "kind", "uses", "expires_at", "revoked_at", "created_at")
    return ConsentStanding(
        facts=tuple(
            _Fact(asset_id, kind, frozenset(uses), expires_at, revoked_at, created_at)
            for asset_id, kind, uses, expires_at, revoked_at, created_at in rows.values_list(
                *columns
            )
        ),
        policy=ConsentPolicy(settings.CONSENT_REQUIRED),
        read_at=timezone.now(),
    )


def must_attest(*, owner_id: int) -> bool:
    """Whether a person has to be asked about her own face before a first swap."""
    if ConsentPolicy(settings.CONSENT_REQUIRED) is not ConsentPolicy.ATTEST:
        return False
    return not consent_standing(owner_id=owner_id, asset_ids=()).is_attested()


def is_known_revoked(*, owner_id: int, sha256s: Collection[str]) -> bool:
    """Whether the account brings in a face again whose consent was revoked, and not renewed."""
    known = ConsentAsset.objects.filter(
        consent__owner_id=owner_id, consent__revoked_at__isnull=False, sha256__in=list(sha256s)
    )
    return known.exists()


def require_admissible(*, owner_id: int, sha256s: Collection[str]) -> None:
    """Refuse bytes that are blocked for everybody, or whose face this account may not use.

    Two queries, each by an index.

    Args:
        owner_id: who brings them.
        sha256s: of the file as it came and as it would be kept.

    Raises:
        ContentBlockedError: a report about them was upheld.
        ConsentRevokedError: they are a source whose consent was revoked.
    """
    if is_blocked(sha256s=sha256s):
        raise ContentBlockedError(_("This file was reported and is blocked."), param="file")
    if is_known_revoked(owner_id=owner_id, sha256s=sha256s):
        raise ConsentRevokedError(
            _("The consent for the face in this file was revoked."), param="file"
        )


def is_blocked(*, sha256s: Collection[str]) -> bool:
    """Whether one of these digests is on the block list."""
    return BlockedHash.objects.filter(pk__in=list(sha256s)).exists()


def consents(
    *, owner_id: int, limit: int, cursor: str | None = None
) -> tuple[list[Consent], str | None]:
    """Every consent that the account attested, revoked ones included, newest first.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    rows = Consent.objects.filter(owner_id=owner_id).prefetch_related("assets")
    return newest_first(rows, limit=limit, cursor=cursor)


def consent(*, owner_id: int, consent_id: uuid.UUID) -> Consent:
    """One consent of the account.

    Raises:
        ConsentNotFoundError: there is none, or it is somebody else's.
    """
    rows = Consent.objects.filter(owner_id=owner_id).prefetch_related("assets")
    found = rows.filter(pk=consent_id).first()
    if found is None:
        raise ConsentNotFoundError(_("You have no consent with this id."))
    return found


def revocations_to_enforce(*, limit: int) -> list[uuid.UUID]:
    """Revoked consents whose faces may still be there, the oldest first."""
    rows = Consent.objects.filter(revoked_at__isnull=False, enforced_at__isnull=True)
    return list(rows.order_by("revoked_at").values_list("pk", flat=True)[:limit])


def revoked_consent(*, consent_id: uuid.UUID) -> Consent:
    """A consent by its id alone, with the uploads it names; for those who enforce it."""
    return Consent.objects.prefetch_related("assets").get(pk=consent_id)


def blocks_to_enforce(*, limit: int) -> list[str]:
    """Blocked digests of which something may still be here, the oldest first.

    Those of the last minutes are among them even when they were enforced: a file that was let in
    just before the block may have become an upload just after it.
    """
    recent = Q(created_at__gt=timezone.now() - _LOOK_AGAIN_FOR)
    rows = BlockedHash.objects.filter(Q(enforced_at__isnull=True) | recent).order_by("created_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def takedown_reference(*, sha256: str) -> str:
    """The reference of the report because of which a digest is blocked."""
    return BlockedHash.objects.select_related("takedown").get(pk=sha256).takedown.reference


def takedown(*, reference: str) -> Takedown:
    """A report by its reference, however it is written.

    Raises:
        TakedownNotFoundError: there is none.
    """
    found = Takedown.objects.filter(reference=reference.strip().upper()).first()
    if found is None:
        raise TakedownNotFoundError(_("There is no report with this reference."))
    return found


def open_takedowns() -> OpenWork:
    """How many reports wait, and how many of them for too long. One query over the open ones."""
    counts = Takedown.objects.filter(state=TakedownState.OPEN).aggregate(
        open=Count("pk"), overdue=Count("pk", filter=Q(due_at__lt=timezone.now()))
    )
    return OpenWork(open_count=counts["open"], overdue_count=counts["overdue"])


def receipts(
    *, owner_id: int, limit: int, cursor: str | None = None
) -> tuple[list[ErasureReceipt], str | None]:
    """Receipts of erasure of the account, newest first.

    Raises:
        InvalidCursorError: ``cursor`` was not a ``next_cursor`` of ours.
    """
    return newest_first(
        ErasureReceipt.objects.filter(owner_id=owner_id), limit=limit, cursor=cursor
    )


def receipt(*, owner_id: int, receipt_id: uuid.UUID) -> ErasureReceipt:
    """One receipt of the account.

    Raises:
        ReceiptNotFoundError: there is none, or it is somebody else's.
    """
    found = ErasureReceipt.objects.filter(owner_id=owner_id, pk=receipt_id).first()
    if found is None:
        raise ReceiptNotFoundError(_("You have no receipt with this id."))
    return found


def texts_of(*, language: str) -> dict[str, dict[str, str]]:
    """The words of each kind of consent, with their digests."""
    return {
        kind.value: {
            "text": consent_texts.text(kind=kind, language=language),
            "sha256": consent_texts.digest(kind=kind, language=language),
        }
        for kind in ConsentKind
    }


def _revoked(asset_id: uuid.UUID, param: str | None) -> ConsentRevokedError:
    return ConsentRevokedError(
        _("The consent for the face of this source was revoked."),
        param=param,
        asset_id=str(asset_id),
    )
