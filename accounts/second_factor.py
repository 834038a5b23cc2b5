"""The second factor of people: an authenticator app, and recovery codes for when it is lost.

Each code works once and wrong ones make the next try wait longer. All tries of one person take the
lock on that person's device, so two requests with one code cannot both be believed. The secret is
encrypted in the database: see ``factor_secrets``.
"""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import factor_secrets, keys
from accounts.errors import (
    SecondFactorExistsError,
    SecondFactorMissingError,
    SecondFactorUnreadableError,
    SignInFailedError,
    StepUpRefusedError,
    StepUpThrottledError,
    UserNotFoundError,
)
from accounts.models import Authenticator, RecoveryCode, StepUpGrant, User
from accounts.types import Enrolment, ReencryptedFactors, SecondFactorState

log = structlog.get_logger(__name__)

RECOVERY_CODES_COUNT: Final = 10
_RECOVERY_BYTES: Final = 10
_TOTP_CODE: Final = re.compile(r"[0-9]{6}")


def state(*, user_id: int) -> SecondFactorState:
    """What the user has."""
    return SecondFactorState(
        is_enrolled=Authenticator.objects.filter(user_id=user_id, confirmed=True).exists(),
        recovery_codes_left=RecoveryCode.objects.filter(user_id=user_id, used_at=None).count(),
    )


def check_password(*, user_id: int, password: str) -> None:
    """Make sure that whoever enrols a device knows the password, not only an open session.

    Raises:
        SignInFailedError: it is wrong, or the account has none.
    """
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or not user.check_password(password):
        raise SignInFailedError(_("The password is wrong."), param="password")


@transaction.atomic(durable=True)
def start_enrolment(*, user_id: int) -> Enrolment:
    """Create the secret of a new authenticator; it counts once its first code was sent back.

    A secret that was never confirmed is thrown away. Owns its transaction.

    Raises:
        UserNotFoundError: no active user has this id.
        SecondFactorExistsError: there is a confirmed authenticator.
    """
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id, is_active=True).first()
    if user is None:
        raise UserNotFoundError(_("No active user has this id."))
    devices = Authenticator.objects.filter(user_id=user_id)
    if devices.filter(confirmed=True).exists():
        raise SecondFactorExistsError(_("An authenticator is enrolled already."))
    devices.delete()
    secret = secrets.token_bytes(factor_secrets.SECRET_BYTES)
    device = Authenticator.objects.create(
        user=user,
        name="authenticator",
        confirmed=False,
        key=factor_secrets.seal(secret=secret, user_id=user.pk),
    )
    text = base64.b32encode(secret).decode().rstrip("=")
    return Enrolment(secret=text, url=device.config_url)


def confirm_enrolment(*, user_id: int, code: str) -> tuple[str, ...]:
    """Switch the new authenticator on with its first code. Owns its transaction.

    Returns:
        Fresh recovery codes: the only copy, show them once.

    Raises:
        SecondFactorMissingError: nothing waits for confirmation.
        StepUpRefusedError: the code is wrong.
        StepUpThrottledError: too many wrong codes.
    """
    with transaction.atomic(durable=True):
        device = _lock_device(user_id, is_confirmed=False)
        _check_throttle(device)
        is_right = _is_current_code(device, code)
        recovery_codes: tuple[str, ...] = ()
        if is_right:
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            recovery_codes = _new_recovery_codes(user_id)
            _log_later("accounts.second_factor.enrolled", user_id)
    # Outside: a refusal must not undo the count of wrong codes.
    if not is_right:
        raise StepUpRefusedError(_("The code is wrong or too old."), param="code")
    return recovery_codes


def prove(*, user_id: int, code: str, credential: str | None) -> datetime:
    """Check a code of the authenticator, or a recovery code. Owns its transaction.

    Args:
        user_id: whose second factor it is.
        code: six digits, or a recovery code.
        credential: what the user signed in with; the proof stays good for it for STEP_UP_TTL_S
            seconds. None proves this one request only.

    Returns:
        The moment of the proof.

    Raises:
        SecondFactorMissingError: the user has no authenticator.
        StepUpRefusedError: the code is wrong, too old or was used before.
        StepUpThrottledError: too many wrong codes.
    """
    now = timezone.now()
    with transaction.atomic(durable=True):
        device = _lock_device(user_id, is_confirmed=True)
        _check_throttle(device)
        is_right = (
            _is_current_code(device, code)
            if _TOTP_CODE.fullmatch(code)
            else _use_recovery_code(device, code, now)
        )
        if is_right and credential is not None:
            _grant(user_id, credential, now)
        _log_later("accounts.step_up.proven" if is_right else "accounts.step_up.refused", user_id)
    if not is_right:
        raise StepUpRefusedError(_("The code is wrong, too old or was used before."))
    return now


def device_id(*, user_id: int) -> int | None:
    """Which authenticator the user has; another one after a reset and a new enrolment."""
    devices = Authenticator.objects.filter(user_id=user_id, confirmed=True)
    found: int | None = devices.order_by("pk").values_list("pk", flat=True).first()
    return found


def proven_at(*, user_id: int, credential: str) -> datetime | None:
    """When the credential last proved the second factor; None when that is too long ago."""
    oldest = timezone.now() - timedelta(seconds=settings.STEP_UP_TTL_S)
    grants = StepUpGrant.objects.filter(
        user_id=user_id, credential_hash=keys.digest(credential), proven_at__gte=oldest
    )
    return grants.values_list("proven_at", flat=True).first()


@transaction.atomic(durable=True)
def renew_recovery_codes(*, user_id: int) -> tuple[str, ...]:
    """Replace all recovery codes; the caller has proven the second factor. Owns its transaction.

    Raises:
        SecondFactorMissingError: the user has no authenticator.
    """
    _lock_device(user_id, is_confirmed=True)
    _log_later("accounts.recovery_codes.renewed", user_id)
    return _new_recovery_codes(user_id)


@transaction.atomic
def reset(*, user_id: int) -> None:
    """Remove the authenticator, all recovery codes and all proofs of a user.

    Joins the caller's transaction, or owns one.
    """
    Authenticator.objects.filter(user_id=user_id).delete()
    RecoveryCode.objects.filter(user_id=user_id).delete()
    StepUpGrant.objects.filter(user_id=user_id).delete()
    _log_later("accounts.second_factor.reset", user_id)


def reencrypt(*, is_dry_run: bool = False) -> ReencryptedFactors:
    """Bring every secret under the first of FACTOR_SECRET_KEYS; owns a transaction per person.

    Safe beside traffic and to repeat. What no key opens is named and left as it is.
    """
    total = changed = 0
    unreadable: list[str] = []
    for pk in Authenticator.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic(durable=True):
            locked = Authenticator.objects.select_for_update(no_key=True, of=("self",))
            device = locked.select_related("user").filter(pk=pk).first()
            if device is None:
                continue
            total += 1
            try:
                secret = device.bin_key
            except SecondFactorUnreadableError:
                unreadable.append(device.user.user_ref)
                continue
            if factor_secrets.is_current(text=device.key):
                continue
            changed += 1
            if not is_dry_run:
                device.key = factor_secrets.seal(secret=secret, user_id=device.user_id)
                device.save(update_fields=["key"])
    return ReencryptedFactors(total=total, changed=changed, unreadable=tuple(unreadable))


def _lock_device(user_id: int, *, is_confirmed: bool) -> Any:
    devices = Authenticator.objects.select_for_update(no_key=True)
    device = devices.filter(user_id=user_id, confirmed=is_confirmed).order_by("pk").first()
    if device is None:
        raise SecondFactorMissingError(_("No authenticator of yours waits for a code."))
    return device


def _check_throttle(device: Any) -> None:
    is_allowed, why = device.verify_is_allowed()
    if is_allowed:
        return
    wait = why["locked_until"] - timezone.now()
    raise StepUpThrottledError(
        _("Too many wrong codes. Wait a little."), retry_after_s=max(1, int(wait.total_seconds()))
    )


def _is_current_code(device: Any, code: str) -> bool:
    """Check and use up a code of the authenticator; a wrong one is counted."""
    return bool(device.verify_token(code))


def _use_recovery_code(device: Any, code: str, now: datetime) -> bool:
    """Check and use up a recovery code; a wrong one is counted."""
    unused = RecoveryCode.objects.filter(
        user_id=device.user_id, code_hash=_recovery_hash(code), used_at=None
    )
    if unused.update(used_at=now):
        device.throttle_reset()
        return True
    device.throttle_increment()
    return False


def _new_recovery_codes(user_id: int) -> tuple[str, ...]:
    codes = [secrets.token_bytes(_RECOVERY_BYTES) for _n in range(RECOVERY_CODES_COUNT)]
    texts = tuple(_grouped(base64.b32encode(code).decode().lower()) for code in codes)
    RecoveryCode.objects.filter(user_id=user_id).delete()
    RecoveryCode.objects.bulk_create(
        [RecoveryCode(user_id=user_id, code_hash=_recovery_hash(text)) for text in texts]
    )
    return texts


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _recovery_hash(code: str) -> str:
    # 80 random bits: a keyed fast hash is enough, as for API keys.
    return keys.digest("recovery:" + re.sub(r"[\s-]", "", code).lower())


def _grant(user_id: int, credential: str, now: datetime) -> None:
    stale = now - timedelta(seconds=settings.STEP_UP_TTL_S)
    StepUpGrant.objects.filter(user_id=user_id, proven_at__lt=stale).delete()
    StepUpGrant.objects.bulk_create(
        [StepUpGrant(user_id=user_id, credential_hash=keys.digest(credential), proven_at=now)],
        update_conflicts=True,
        unique_fields=["credential_hash"],
        update_fields=["user", "proven_at"],
    )


def _log_later(event: str, user_id: int) -> None:
    transaction.on_commit(partial(log.info, event, user_id=user_id))
