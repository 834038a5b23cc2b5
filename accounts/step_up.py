"""A fresh second factor for requests about money.

People send a code in ``X-Step-Up-Code``, or have sent one a few minutes ago with the same session
or access token. The code stays out of the body, so that a retry with a new code is still the same
request under its Idempotency-Key. Programs cannot hold a second factor: what their API keys may do
without one is a setting (recharges) or a policy (votes).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import Token

from accounts import second_factor
from accounts.errors import SecondFactorMissingError, StepUpRequiredError
from accounts.models import ApiKey
from facefusion_site.common import limits
from facefusion_site.common.drf import user_id

CODE_HEADER: Final = "X-Step-Up-Code"
CODE_PARAMETER: Final = OpenApiParameter(
    name=CODE_HEADER,
    location=OpenApiParameter.HEADER,
    required=False,
    description="A code of your authenticator, unless you proved one in the last minutes.",
)
_CODE_LENGTH_MAX: Final = 64
_DEVICE: Final = "second_factor_device"
_MOMENT: Final = "second_factor_moment"


def is_by_key(request: Request) -> bool:
    """Whether an API key speaks, rather than a person's session or access token."""
    return isinstance(request.auth, ApiKey)


def proven_at(request: Request) -> datetime | None:
    """When the caller proved the second factor: now, by the code sent along, or shortly before.

    None for API keys and for people without a fresh proof.

    Raises:
        SecondFactorMissingError: a code, but no authenticator.
        StepUpRefusedError: the code sent along is wrong, too old or was used before.
        StepUpThrottledError: too many wrong codes.
        RateLimitedError: too many tries.
    """
    if is_by_key(request):
        return None
    # One request may be asked twice, and a code works once.
    known_moment: datetime | None = getattr(request, _MOMENT, None)
    if known_moment is not None:
        return known_moment
    code = request.headers.get(CODE_HEADER, "").strip()
    if code:
        return prove(request, code=code)
    known = _credential(request)
    if known is None:
        return None
    return second_factor.proven_at(user_id=user_id(request), credential=known)


def prove(request: Request, *, code: str) -> datetime:
    """Check a code for the caller's session or access token; see ``proven_at`` for the errors."""
    limits.check(request, group="step-up", rate="STEP_UP_RATE", key="user", is_fail_open=False)
    moment = second_factor.prove(
        user_id=user_id(request), code=code[:_CODE_LENGTH_MAX], credential=_credential(request)
    )
    setattr(request, _MOMENT, moment)
    if request.auth is None and request.session.session_key is not None:
        mark_session(request._request)  # noqa: SLF001  # the session is that of Django's request
    return moment


def require(request: Request) -> datetime:
    """The moment of a fresh proof.

    Raises:
        SecondFactorMissingError: the caller has no authenticator.
        StepUpRequiredError: the caller is a program, or has not proven it lately.
    """
    moment = proven_at(request)
    if moment is not None:
        return moment
    if is_by_key(request):
        raise StepUpRequiredError(_("This is for people with a second factor, not for API keys."))
    if not second_factor.state(user_id=user_id(request)).is_enrolled:
        raise SecondFactorMissingError(_("This asks for a second factor, and you have none."))
    raise StepUpRequiredError(_("Prove your second factor to go on."))


def require_shown(request: Request) -> None:
    """Refuse the work of staff to people who have not shown a second factor.

    A session has to have shown it once, as for the console; an access token, which lives shorter,
    lately. API keys were given their scopes on purpose. Raises what ``require`` raises.
    """
    if not settings.CONSOLE_SECOND_FACTOR or is_by_key(request):
        return
    if request.auth is None and is_session_proven(request._request):  # noqa: SLF001
        return
    require(request)


def unproven_tokens_max(request: Request) -> int | None:
    """How many tokens the caller may recharge without a second factor; None means any number.

    People prove it above RECHARGE_STEP_UP_TOKENS. API keys are exempt while
    STEP_UP_EXEMPTS_API_KEYS is set: their scope ``recharges:write`` was given to a program on
    purpose, and approvals still stand behind it. Raises what ``proven_at`` raises.
    """
    if is_by_key(request):
        return None if settings.STEP_UP_EXEMPTS_API_KEYS else settings.RECHARGE_STEP_UP_TOKENS
    return settings.RECHARGE_STEP_UP_TOKENS if proven_at(request) is None else None


def session_proven_at(request: HttpRequest) -> datetime | None:
    """When the signed-in person of a page proved the second factor with this session."""
    key = request.session.session_key
    if key is None or request.user.pk is None:
        return None
    return second_factor.proven_at(user_id=request.user.pk, credential=_session(key))


def prove_session(request: HttpRequest, *, code: str) -> datetime:
    """Check a code for the session of a page; see ``proven_at`` for the errors."""
    limits.check(request, group="step-up", rate="STEP_UP_RATE", key="user", is_fail_open=False)
    key = request.session.session_key
    assert request.user.pk is not None, "the page asks for a sign-in"
    moment = second_factor.prove(
        user_id=request.user.pk,
        code=code[:_CODE_LENGTH_MAX],
        credential=None if key is None else _session(key),
    )
    mark_session(request)
    return moment


def mark_session(request: HttpRequest) -> None:
    """Remember for as long as the session lives that the person has shown this authenticator."""
    assert request.user.pk is not None, "the page asks for a sign-in"
    request.session[_DEVICE] = second_factor.device_id(user_id=request.user.pk)


def is_session_proven(request: HttpRequest) -> bool:
    """Whether the session has shown the second factor that its person has now, at any time.

    Enough to look at the console; what moves tokens asks for ``session_proven_at``.
    """
    shown = request.session.get(_DEVICE)
    if shown is None or request.user.pk is None:
        return False
    return bool(shown == second_factor.device_id(user_id=request.user.pk))


def _session(key: str) -> str:
    return f"session:{key}"


def _credential(request: Request) -> str | None:
    """A name for what the person signed in with; a new sign-in has another one."""
    if isinstance(request.auth, Token):
        return f"token:{request.auth['jti']}"
    key = request.session.session_key
    return None if key is None else _session(key)
