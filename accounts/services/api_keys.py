"""API keys: issued, rotated, used, exposed, revoked."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import keys, selectors, signatures
from accounts.errors import (
    ApiKeyNotActiveError,
    ApiKeyNotFoundError,
    ApiKeyRequestInvalidError,
    UserNotFoundError,
)
from accounts.key_header import presented_key
from accounts.models import ApiKey, User
from accounts.services.sandboxes import sandbox_of
from accounts.services.webhooks import enqueue_webhook
from accounts.types import ROLE_SCOPES, IssuedKey, KeyLimits, Role, Scope
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
    limits: KeyLimits | None = None,
    is_test: bool = False,
) -> IssuedKey:
    """Create a key for a user. Joins the caller's transaction, or owns one.

    With ``is_test`` the key acts as the user's sandbox, which is made now if there is none. The
    returned secret exists nowhere else: the row holds a keyed hash of it.

    Raises:
        UserNotFoundError: no active user has this id.
        ApiKeyRequestInvalidError: no name, no scope, a scope the role lacks, an expiry in the past,
            a network that is none.
    """
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise UserNotFoundError(_("No active user has this id."))
    if is_test:
        user = sandbox_of(user=user)
    _check_key_request(user=user, name=name, scopes=scopes, expires_at=expires_at)
    limits = limits or KeyLimits()
    return _store(
        ApiKey(
            user=user,
            name=name.strip(),
            scopes=sorted(set(scopes)),
            expires_at=expires_at,
            allowed_networks=_networks(limits.allowed_networks),
            daily_token_budget=limits.daily_token_budget,
            requests_per_minute=limits.requests_per_minute,
            requires_signature=limits.requires_signature,
        )
    )


@transaction.atomic
def rotate_api_key(*, key_id: uuid.UUID, user_id: int, grace_s: int) -> IssuedKey:
    """Replace a key by a new one with the same rights; the old one works ``grace_s`` seconds more.

    The new key lives as long as the old one was meant to, from now on, and shares its budget of
    the day. Joins the caller's transaction, or owns one.

    Raises:
        ApiKeyNotFoundError: the user has no such key.
        ApiKeyNotActiveError: it is revoked, expired or already replaced.
    """
    mine = ApiKey.objects.filter(selectors.keys_of(user_id), pk=key_id).select_related("user")
    row = mine.select_for_update(no_key=True, of=("self",)).first()
    if row is None:
        raise ApiKeyNotFoundError(_("You have no API key with this id."))
    now = timezone.now()
    is_over = row.expires_at is not None and row.expires_at <= now
    if row.revoked_at is not None or row.replaced_by_id is not None or is_over:
        raise ApiKeyNotActiveError(_("This key is revoked, has expired or was replaced."))
    lifetime = None if row.expires_at is None else row.expires_at - row.created_at
    issued = _store(
        ApiKey(
            user=row.user,
            name=row.name,
            scopes=row.scopes,
            expires_at=None if lifetime is None else now + lifetime,
            allowed_networks=row.allowed_networks,
            daily_token_budget=row.daily_token_budget,
            requests_per_minute=row.requests_per_minute,
            requires_signature=row.requires_signature,
            lineage=row.lineage,
        )
    )
    end = now + timedelta(seconds=grace_s)
    row.expires_at = end if row.expires_at is None else min(end, row.expires_at)
    row.replaced_by_id = issued.id
    row.save(update_fields=["expires_at", "replaced_by"])
    transaction.on_commit(
        partial(
            log.info,
            "accounts.api_key.rotated",
            user_id=user_id,
            api_key_id=str(key_id),
            new_api_key_id=str(issued.id),
        )
    )
    return issued


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


def note_key_use(
    *, key_id: uuid.UUID, last_used_at: datetime | None, now: datetime, address: str | None
) -> None:
    """Remember when and from where a key was used: a busy key must not mean a write per request.

    To the minute. ``last_used_at`` is what the caller has just read; of several requests at the
    same moment one writes.
    """
    if last_used_at is not None and last_used_at > now - _USE_RESOLUTION:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - _USE_RESOLUTION)
    ApiKey.objects.filter(stale, pk=key_id).update(last_used_at=now, last_used_from=address)


@transaction.atomic
def note_key_exposure(*, headers: Mapping[str, str]) -> None:
    """Tell the owner of the key in these headers that it came over plain HTTP.

    Once a minute for each key; headers without a key of ours change nothing. Joins the caller's
    transaction, or owns one.
    """
    presented = presented_key(headers)
    if presented is None or not keys.is_well_formed(presented):
        return
    key = selectors.api_key_by_hash(key_hash=keys.digest(presented))
    if key is None:
        return
    now = timezone.now()
    stale = Q(exposed_at=None) | Q(exposed_at__lte=now - _USE_RESOLUTION)
    if ApiKey.objects.filter(stale, pk=key.pk).update(exposed_at=now):
        _tell(WebhookEventType.API_KEY_EXPOSED, key)
        transaction.on_commit(
            partial(
                log.warning,
                "accounts.api_key.exposed",
                user_id=key.user_id,
                api_key_id=str(key.pk),
            )
        )


def _store(row: ApiKey) -> IssuedKey:
    key = keys.generate(is_test=row.is_test)
    row.key_hash = keys.digest(key)
    row.last4 = key[-4:]
    row.save(force_insert=True)
    _tell(WebhookEventType.API_KEY_ISSUED, row)
    transaction.on_commit(
        partial(log.info, "accounts.api_key.issued", user_id=row.user_id, api_key_id=str(row.pk))
    )
    secret = signatures.secret_of(key_id=row.pk) if row.requires_signature else None
    return IssuedKey(key=key, id=row.pk, signing_secret=secret)


def _networks(values: Collection[str]) -> list[str]:
    """The networks in the form in which they are compared; a lone address is one of its own."""
    if len(values) > settings.KEY_NETWORKS_MAX:
        raise ApiKeyRequestInvalidError(
            _("Name at most %(max)d networks.") % {"max": settings.KEY_NETWORKS_MAX},
            param="allowed_networks",
        )
    found = set()
    for value in values:
        try:
            found.add(str(ipaddress.ip_network(value)))
        except ValueError as error:
            raise ApiKeyRequestInvalidError(
                _("“%(value)s” is no network, or has bits set behind its prefix.")
                % {"value": value},
                param="allowed_networks",
            ) from error
    return sorted(found)


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
