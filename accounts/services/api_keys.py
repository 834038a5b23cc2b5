"""API keys: issued, used, revoked."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import keys, selectors
from accounts.errors import (
    ApiKeyRequestInvalidError,
    UserNotFoundError,
)
from accounts.models import ApiKey, User
from accounts.services.webhooks import enqueue_webhook
from accounts.types import ROLE_SCOPES, IssuedKey, Role, Scope
from accounts.webhook_types import WebhookEventType

log = structlog.get_logger(__name__)
_USE_RESOLUTION: Final = timedelta(minutes=1)
_NAME_LENGTH_MAX: Final = 100


@transaction.atomic
def issue_api_key(
    *,
    user_id: int,
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None = None,
) -> IssuedKey:
    """Create a key for a user. Joins the caller's transaction, or owns one.

    The returned secret exists nowhere else: the row holds a keyed hash of it.

    Raises:
        UserNotFoundError: no active user has this id.
        ApiKeyRequestInvalidError: no name, no scope, a scope the role lacks, an expiry in the past.
    """
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise UserNotFoundError(_("No active user has this id."))
    _check_key_request(user=user, name=name, scopes=scopes, expires_at=expires_at)
    key = keys.generate()
    row = ApiKey.objects.create(
        user=user,
        name=name.strip(),
        key_hash=keys.digest(key),
        last4=key[-4:],
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    _tell(WebhookEventType.API_KEY_ISSUED, row)
    transaction.on_commit(
        partial(log.info, "accounts.api_key.issued", user_id=user.pk, api_key_id=str(row.pk))
    )
    return IssuedKey(key=key, id=row.pk)


@transaction.atomic
def revoke_api_key(*, key_id: uuid.UUID, user_id: int) -> None:
    """Withdraw one of the user's keys at once. Revoking twice keeps the first time.

    Raises:
        ApiKeyNotFoundError: the user has no such key.
    """
    key = selectors.api_key(key_id=key_id, user_id=user_id)
    changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    if changed:
        _tell(WebhookEventType.API_KEY_REVOKED, key)
        transaction.on_commit(
            partial(log.info, "accounts.api_key.revoked", user_id=user_id, api_key_id=str(key.pk))
        )


def note_key_use(*, key_id: uuid.UUID, last_used_at: datetime | None, now: datetime) -> None:
    """Remember that a key was used, to the minute: a busy key must not mean a write per request.

    ``last_used_at`` is what the caller has just read; of several requests at the same moment one
    writes.
    """
    if last_used_at is not None and last_used_at > now - _USE_RESOLUTION:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - _USE_RESOLUTION)
    ApiKey.objects.filter(stale, pk=key_id).update(last_used_at=now)


def _tell(event_type: WebhookEventType, key: ApiKey) -> None:
    enqueue_webhook(
        event_type=event_type,
        user_id=key.user_id,
        data={"id": str(key.pk), "name": key.name, "last4": key.last4},
    )


def _check_key_request(
    *, user: User, name: str, scopes: Collection[str], expires_at: datetime | None
) -> None:
    if not 1 <= len(name.strip()) <= _NAME_LENGTH_MAX:
        raise ApiKeyRequestInvalidError(
            _("Give the key a name of 1 to 100 characters."), param="name"
        )
    if not scopes:
        raise ApiKeyRequestInvalidError(_("Name at least one scope."), param="scopes")
    allowed: frozenset[str] = ROLE_SCOPES[Role(user.role)]
    refused = sorted(set(scopes) - allowed)
    if refused:
        known = set(Scope.values)
        detail = (
            _("The user's role does not include: %(scopes)s.")
            if set(refused) <= known
            else _("There is no such scope, or the role lacks it: %(scopes)s.")
        )
        raise ApiKeyRequestInvalidError(detail % {"scopes": ", ".join(refused)}, param="scopes")
    if expires_at is not None and expires_at <= timezone.now():
        raise ApiKeyRequestInvalidError(_("The expiry lies in the past."), param="expires_at")
