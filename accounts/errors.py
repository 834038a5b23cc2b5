"""Expected failures of the accounts app."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from accounts import webhook_errors  # noqa: F401  # for the catalogue of errors
from accounts.freeze_errors import (
    ApiFrozenError,
    FreezeEndedError,
    FreezeInvalidError,
    FreezeNeedsAnotherError,
    FreezeNotFoundError,
    LoginFrozenError,
    NoteInvalidError,
    UploadFrozenError,
)
from accounts.key_errors import (
    ApiKeyAddressRefusedError,
    ApiKeyBudgetExceededError,
    ApiKeyNotActiveError,
    HttpsRequiredError,
    RefreshTokenReusedError,
    SandboxOnlyError,
    SignatureExpiredError,
    SignatureInvalidError,
    SignatureReplayedError,
    SignatureRequiredError,
    SignedBodyTooLargeError,
)
from facefusion_site.common.errors import DomainError

__all__ = [
    "ApiFrozenError",
    "ApiKeyAddressRefusedError",
    "ApiKeyBudgetExceededError",
    "ApiKeyExpiredError",
    "ApiKeyInvalidError",
    "ApiKeyNotActiveError",
    "ApiKeyNotFoundError",
    "ApiKeyRequestInvalidError",
    "ApiKeyRevokedError",
    "FreezeEndedError",
    "FreezeInvalidError",
    "FreezeNeedsAnotherError",
    "FreezeNotFoundError",
    "HttpsRequiredError",
    "KeyCannotManageKeysError",
    "LoginFrozenError",
    "NoteInvalidError",
    "PasswordRefusedError",
    "RefreshTokenReusedError",
    "RoleRequiredError",
    "SandboxOnlyError",
    "ScopeMissingError",
    "SecondFactorExistsError",
    "SecondFactorMissingError",
    "SecondFactorUnreadableError",
    "SignInFailedError",
    "SignatureExpiredError",
    "SignatureInvalidError",
    "SignatureReplayedError",
    "SignatureRequiredError",
    "SignedBodyTooLargeError",
    "StepUpRefusedError",
    "StepUpRequiredError",
    "StepUpThrottledError",
    "TimeZoneUnknownError",
    "TokenInvalidError",
    "UploadFrozenError",
    "UserExistsError",
    "UserInactiveError",
    "UserNotFoundError",
    "UserRefInvalidError",
]


class UserNotFoundError(DomainError):
    """No active user has this id or reference."""

    code = "user_not_found"
    http_status = 404
    title = _("There is no such user")
    next_step = _("Check the user_ref; upper and lower case differ.")


class UserExistsError(DomainError):
    """The user name or the user_ref is taken."""

    code = "user_exists"
    http_status = 409
    title = _("This user exists already")
    next_step = _("Use the existing user, or choose another user_ref or user name.")


class UserRefInvalidError(DomainError):
    """The user_ref has a character it may not have, or a wrong length."""

    code = "user_ref_invalid"
    title = _("The user_ref is not valid")
    next_step = _("Use 1 to 64 letters, digits, and . _ : @ - with a letter or digit first.")


class PasswordRefusedError(DomainError):
    """The password validators refused it; ``errors`` says why."""

    code = "password_refused"
    title = _("The password is too easy to guess")
    next_step = _("Choose a longer password that is neither common nor like the user name.")


class RoleRequiredError(DomainError):
    """The user's role does not include what was asked."""

    code = "role_required"
    http_status = 403
    title = _("Your role does not allow this")
    next_step = _("Ask an administrator to change your role.")


class ScopeMissingError(DomainError):
    """The API key was issued without the scope."""

    code = "scope_missing"
    http_status = 403
    title = _("The API key lacks a scope")
    next_step = _("Issue a key that has the scope named in “required_scope”.")


class KeyCannotManageKeysError(DomainError):
    """API keys are managed by people: a leaked key must not be able to make itself permanent."""

    code = "key_cannot_manage_keys"
    http_status = 403
    title = _("An API key may not manage API keys")
    next_step = _("Sign in with user name and password, or with an access token.")


class ApiKeyRequestInvalidError(DomainError):
    """A key cannot be issued as asked: no scopes, unknown ones, or an expiry in the past."""

    code = "api_key_request_invalid"
    title = _("An API key cannot be issued like this")
    next_step = _("Name at least one scope your role has, and an expiry in the future.")


class ApiKeyNotFoundError(DomainError):
    """The user has no such key."""

    code = "api_key_not_found"
    http_status = 404
    title = _("There is no such API key")
    next_step = _("List your keys and use an id from that list.")


class ApiKeyInvalidError(DomainError):
    """Malformed, mistyped or unknown key."""

    code = "api_key_invalid"
    http_status = 401
    title = _("The API key is not valid")
    next_step = _("Check that the whole key was copied, or issue a new one.")


class ApiKeyExpiredError(DomainError):
    """The key's time is over."""

    code = "api_key_expired"
    http_status = 401
    title = _("The API key has expired")
    next_step = _("Issue a new key.")


class ApiKeyRevokedError(DomainError):
    """The key was withdrawn."""

    code = "api_key_revoked"
    http_status = 401
    title = _("The API key was revoked")
    next_step = _("Issue a new key.")


class UserInactiveError(DomainError):
    """The account is switched off."""

    code = "user_inactive"
    http_status = 401
    title = _("This account is switched off")
    next_step = _("Ask an administrator to activate the account.")


class SignInFailedError(DomainError):
    """Wrong user name or password; which of both is not said."""

    code = "sign_in_failed"
    http_status = 401
    title = _("The sign-in failed")
    next_step = _("Check the user name and the password.")


class TokenInvalidError(DomainError):
    """An access or refresh token is wrong, expired or of the wrong kind."""

    code = "token_invalid"
    http_status = 401
    title = _("The token is not valid or has expired")
    next_step = _("Refresh the access token, or sign in again.")


class StepUpRequiredError(DomainError):
    """The request moves or decides about money and needs a fresh second factor."""

    code = "step_up_required"
    http_status = 403
    title = _("A second factor is needed")
    next_step = _(
        "Send a code of your authenticator in X-Step-Up-Code, or to /api/v1/step-up before."
        " Enrol one at /second-factor/ if you have none."
    )


class SecondFactorMissingError(DomainError):
    """The user has no second factor yet."""

    code = "second_factor_missing"
    http_status = 403
    title = _("You have no second factor yet")
    next_step = _("Enrol an authenticator at /api/v1/second-factor first.")


class SecondFactorUnreadableError(DomainError):
    """The stored secret of the authenticator cannot be decrypted."""

    code = "second_factor_unreadable"
    http_status = 503
    title = _("The second factor cannot be checked")
    next_step = _(
        "Tell an administrator: the key that protects authenticators is missing or wrong."
    )


class StepUpRefusedError(DomainError):
    """The code is wrong, used before or too old."""

    code = "step_up_refused"
    http_status = 403
    title = _("The code was not accepted")
    next_step = _("Wait for the next code of your authenticator; each works once.")


class StepUpThrottledError(DomainError):
    """Too many wrong codes in a row."""

    code = "step_up_throttled"
    http_status = 429
    title = _("Too many wrong codes")
    next_step = _("Wait as many seconds as the Retry-After header says, then try again.")
    retryable = True


class SecondFactorExistsError(DomainError):
    """The user has a confirmed second factor."""

    code = "second_factor_exists"
    http_status = 409
    title = _("You have a second factor already")
    next_step = _("Ask an administrator to reset it if the device is lost.")


class TimeZoneUnknownError(DomainError):
    """No such name in the database of time zones."""

    code = "time_zone_unknown"
    title = _("There is no such time zone")
    next_step = _("Send a name of the IANA database, such as Asia/Shanghai or Europe/Berlin.")
