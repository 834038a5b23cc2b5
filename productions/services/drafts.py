"""Productions are written down: who is in them, what is wanted, and who agrees no longer."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from facefusion_site.common import audit, idempotency
from facefusion_site.common.errors import DomainError, InvalidRequestError
from inference import selectors as inference_selectors
from inference.errors import AssetNotFoundError
from productions import selectors
from productions.errors import PersonUnknownError, RowUnreadableError
from productions.models import ManifestRow, Person, Production
from productions.services import endings, steps
from productions.types import ProductionOrder, RowOrder, RowState, State
from tokens.types import Operation

_DETAIL_LENGTH_MAX = 255
_OPERATIONS = {"IMAGE": Operation.IMAGE_SWAP, "VIDEO": Operation.VIDEO_SWAP}


def create_production(
    *, owner_id: int, order: ProductionOrder, actor_id: int, idempotency_key: str
) -> tuple[Production, bool]:
    """Write a production and its people down. Owns its transaction; costs and starts nothing.

    Returns:
        The production, and whether an earlier request with this key made it.

    Raises:
        IdempotencyKeyReusedError: the key was used with another request.
        InvalidRequestError: too many people, or one of them twice.
        AssetNotFoundError: a face is no upload of the owner.
    """
    fingerprint = idempotency.fingerprint(asdict(order))
    earlier = _earlier(owner_id, idempotency_key, fingerprint)
    if earlier is not None:
        return earlier, True
    _check_people(owner_id, order)
    try:
        with transaction.atomic(durable=True):
            return _store(owner_id, order, actor_id, idempotency_key, fingerprint), False
    except IntegrityError:
        earlier = _earlier(owner_id, idempotency_key, fingerprint)
        if earlier is None:
            raise
        return earlier, True


@transaction.atomic(durable=True)
def load_manifest(*, production: Production, rows: Sequence[RowOrder], actor_id: int) -> Production:
    """Replace the rows of a production that has not asked for tokens. Owns its transaction.

    Rows are counted from 1 in their order. A row that names nobody of the production or no upload
    of its owner is kept with its error, and so are those that could not be read: none of them ever
    becomes a job. Repeating it with the same rows leaves the same rows.

    Raises:
        InvalidRequestError: no row, or too many.
        ProductionStateError: tokens were asked for.
    """
    rows_max = settings.PRODUCTION_ROWS_MAX
    if not 1 <= len(rows) <= rows_max:
        raise InvalidRequestError(
            _("A manifest has 1 to %(max)d rows.") % {"max": rows_max},
            param="rows",
            rows_max=rows_max,
        )
    locked = steps.lock(production_id=production.pk, allowed={State.DRAFT, State.ESTIMATED})
    people = {person.ref: person for person in Person.objects.filter(production=locked)}
    named = {row.target_asset_id for row in rows if row.target_asset_id is not None}
    targets = inference_selectors.assets_by_id(owner_id=locked.owner_id, asset_ids=named)
    kinds = {asset_id: str(asset.kind) for asset_id, asset in targets.items()}
    ManifestRow.objects.filter(production=locked).delete()
    ManifestRow.objects.bulk_create(
        [_row(locked, number, row, people, kinds) for number, row in enumerate(rows, start=1)],
        batch_size=1_000,
    )
    locked.estimate = locked.estimated_at = None
    steps.move(locked, to=State.DRAFT, action="manifest_loaded", actor_id=actor_id, rows=len(rows))
    return locked


def revoke_consent(*, production: Production, ref: str, actor_id: int) -> Person:
    """Start no more jobs with a person's face, and cancel those that have not ended.

    Owns its transactions. The revocation counts from its own commit on; repeating it cancels what
    is still open, and changes nothing else.

    Raises:
        PersonNotFoundError: the production has nobody of this name.
    """
    with transaction.atomic(durable=True):
        # Under the lock that starting jobs takes: none is started after this commit.
        steps.lock(production_id=production.pk, allowed=steps.ANY)
        person = selectors.person(production=production, ref=ref)
        if person.consent_revoked_at is None:
            person.consent_revoked_at = timezone.now()
            person.save(update_fields=["consent_revoked_at"])
            audit.record(
                actor_id=actor_id,
                action="production.consent_revoked",
                subject=f"production:{production.pk}",
                before=None,
                after={"person": ref},
            )
    endings.cancel_jobs(production=production, person=person)
    return person


def _check_people(owner_id: int, order: ProductionOrder) -> None:
    people_max = settings.PRODUCTION_PEOPLE_MAX
    if not 1 <= len(order.people) <= people_max:
        raise InvalidRequestError(
            _("A production has 1 to %(max)d people.") % {"max": people_max},
            param="people",
            people_max=people_max,
        )
    if len({person.ref for person in order.people}) < len(order.people):
        raise InvalidRequestError(_("Two people have the same name."), param="people")
    faces = {person.face_asset_id for person in order.people}
    found = inference_selectors.assets_by_id(owner_id=owner_id, asset_ids=faces)
    if faces - found.keys():
        raise AssetNotFoundError(_("You have no upload with this id."), param="face_asset_id")


def _store(
    owner_id: int, order: ProductionOrder, actor_id: int, key: str, fingerprint: str
) -> Production:
    production = Production.objects.create(
        owner_id=owner_id,
        name=order.name,
        budget=order.budget,
        is_automatic=order.is_automatic,
        retries_max=order.retries_max,
        idempotency_key=key,
        request_fingerprint=fingerprint,
    )
    Person.objects.bulk_create(
        [
            Person(
                production=production,
                ref=person.ref,
                name=person.name,
                face_id=person.face_asset_id,
                token_quota=person.token_quota,
                job_quota=person.job_quota,
                consent_kind=person.consent_kind,
                consent_text_version=person.consent_text_version,
                consent_expires_at=person.consent_expires_at,
            )
            for person in order.people
        ]
    )
    audit.record(
        actor_id=actor_id,
        action="production.created",
        subject=f"production:{production.pk}",
        before=None,
        after={"name": order.name, "budget": order.budget, "people": len(order.people)},
    )
    return production


def _row(
    production: Production,
    number: int,
    row: RowOrder,
    people: dict[str, Person],
    kinds: dict[uuid.UUID, str],
) -> ManifestRow:
    kind = None if row.target_asset_id is None else kinds.get(row.target_asset_id)
    person = people.get(row.person)
    fault: DomainError | None = None
    if row.fault:
        fault = RowUnreadableError(row.fault)
    elif person is None:
        fault = PersonUnknownError(_("Nobody in the production has this name."))
    elif kind is None:
        fault = AssetNotFoundError(_("You have no upload with this id."))
    if fault is not None or kind is None:
        assert fault is not None, "a row without a target could not be read"
        return ManifestRow(
            production=production,
            row_no=number,
            person=person,
            state=RowState.UNREADABLE,
            error_code=fault.code,
            error_detail=str(fault)[:_DETAIL_LENGTH_MAX],
        )
    operation = row.operation or _OPERATIONS[kind]
    return ManifestRow(
        production=production,
        row_no=number,
        person=person,
        target_id=row.target_asset_id,
        operation=operation.name,
        options=row.options.to_json(),
    )


def _earlier(owner_id: int, key: str, fingerprint: str) -> Production | None:
    found = selectors.by_key(owner_id=owner_id, idempotency_key=key)
    if found is not None and found.request_fingerprint != fingerprint:
        raise idempotency.IdempotencyKeyReusedError(
            _("This Idempotency-Key was used with another request."), param=idempotency.KEY_HEADER
        )
    return found
