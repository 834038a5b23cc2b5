"""Expected failures around API keys: their limits, their signatures, how they are sent."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from facefusion_site.common.errors import DomainError


class ApiKeyAddressRefusedError(DomainError):
    """The key was used from outside the networks that it is bound to."""

    code = "api_key_address_refused"
    http_status = 403
    title = _("The API key does not work from this address")
    next_step = _("Call from one of the key's networks, or issue a key that allows this address.")


class ApiKeyBudgetExceededError(DomainError):
    """The job would take the key beyond its tokens of the day; nothing is held."""

    code = "api_key_budget_exceeded"
    http_status = 402
    title = _("The API key has used its tokens of the day")
    next_step = _("Wait for midnight UTC, or use a key with a larger daily budget.")


class ApiKeyNotActiveError(DomainError):
    """A key that is revoked, expired or already replaced cannot be rotated."""

    code = "api_key_not_active"
    http_status = 409
    title = _("This API key cannot be rotated")
    next_step = _("Rotate the key that replaced it, or issue a new one.")


class HttpsRequiredError(DomainError):
    """Credentials came over plain HTTP, where others may have read them."""

    code = "https_required"
    http_status = 403
    title = _("Credentials are taken over HTTPS only")
    next_step = _("Use https:// and replace the key or token: others may have read it.")


class SignatureRequiredError(DomainError):
    """The key asks for signed requests, and this one has no signature."""

    code = "signature_required"
    http_status = 401
    title = _("This API key needs signed requests")
    next_step = _(
        "Send X-Signature, X-Signature-Timestamp and X-Signature-Nonce with requests that move"
        " tokens."
    )


class SignatureInvalidError(DomainError):
    """The signature does not fit the request, or is malformed."""

    code = "signature_invalid"
    http_status = 401
    title = _("The signature does not fit the request")
    next_step = _("Sign method, path, Idempotency-Key and body exactly as they are sent.")


class SignatureExpiredError(DomainError):
    """The time of the signature is too far from ours."""

    code = "signature_expired"
    http_status = 401
    title = _("The signature is too old or from the future")
    next_step = _("Set your clock and sign again: a signature is good for five minutes.")


class SignatureReplayedError(DomainError):
    """The nonce was used before."""

    code = "signature_replayed"
    http_status = 401
    title = _("This signature was used before")
    next_step = _("Sign every request, also a repeated one, with a nonce of its own.")


class SignedBodyTooLargeError(DomainError):
    """The body is too large to be held in memory, which checking its signature needs."""

    code = "signed_body_too_large"
    http_status = 413
    title = _("The signed body is too large")
    next_step = _("Send it in smaller parts, or use a key that needs no signatures.")


class RefreshTokenReusedError(DomainError):
    """A refresh token came a second time: one of two holders stole it, so the sign-in is over."""

    code = "refresh_token_reused"
    http_status = 401
    title = _("This refresh token was used before")
    next_step = _("Sign in again. Keep only the newest refresh token, and use it once.")


class SandboxOnlyError(DomainError):
    """Something that only sandboxes have was asked for with live credentials."""

    code = "sandbox_only"
    http_status = 403
    title = _("This works in the sandbox only")
    next_step = _("Use a test key: issue one with “is_test”.")
