"""The authenticator app of a person in a test."""

from __future__ import annotations

from django_otp.oath import totp

from accounts import second_factor
from accounts.models import Authenticator


def code_of(user, *, steps: int = 0) -> str:
    """What the authenticator shows now, or so many steps of 30 seconds away."""
    return f"{totp(Authenticator.objects.get(user=user).bin_key, drift=steps):06d}"


def forget_used_codes(user) -> None:
    """As if half a minute had passed: the code shown now has not been used."""
    Authenticator.objects.filter(user=user).update(last_t=-1)


def forget_wrong_codes(user) -> None:
    """As if the wait after a wrong code were over."""
    Authenticator.objects.filter(user=user).update(throttling_failure_count=0)


def enrol(user) -> tuple[str, ...]:
    """Give the user an authenticator whose present code is unused; the recovery codes."""
    second_factor.start_enrolment(user_id=user.pk)
    codes = second_factor.confirm_enrolment(user_id=user.pk, code=code_of(user))
    forget_used_codes(user)
    return codes
