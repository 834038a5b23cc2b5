"""Wire format of the accounts API."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.api.freeze_serializers import ActiveFreezeSerializer
from accounts.types import KeyLimits, Plan, Role, Scope

_DAY_S: Final = 24 * 60 * 60
_INT_MAX: Final = 2**31 - 1
_BIGINT_MAX: Final = 2**63 - 1


class SignInSerializer(serializers.Serializer[Any]):
    """User name and password."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=128, trim_whitespace=False, write_only=True)


class RefreshSerializer(serializers.Serializer[Any]):
    """A refresh token."""

    refresh = serializers.CharField(max_length=4096)


class TokenPairSerializer(serializers.Serializer[Any]):
    """An access token, and the refresh token that renews it."""

    access = serializers.CharField(help_text=_("Short-lived, for the Authorization header."))
    refresh = serializers.CharField(help_text=_("Works once: keep the newest."))


class UserSerializer(serializers.Serializer[Any]):
    """A user as the API shows it."""

    user_ref = serializers.CharField()
    username = serializers.CharField()
    email = serializers.CharField()
    role = serializers.SerializerMethodField()
    plan = serializers.ChoiceField(choices=Plan.values)
    is_active = serializers.BooleanField()
    is_sandbox = serializers.BooleanField(
        help_text=_("The test account of somebody: its tokens are worth nothing.")
    )
    created_at = serializers.DateTimeField(source="date_joined")

    def get_role(self, user: Any) -> str:
        """The role in lower case, as all states on the wire."""
        return str(user.role).lower()


class MeSerializer(UserSerializer):
    """The caller, what this request's credentials allow, and what is frozen."""

    scopes = serializers.ListField(child=serializers.CharField())
    freezes = ActiveFreezeSerializer(many=True, help_text=_("What the account may not do now."))


class UserCreateSerializer(serializers.Serializer[Any]):
    """An account to create."""

    user_ref = serializers.CharField(
        required=False,
        max_length=64,
        trim_whitespace=False,
        help_text=_("Your own id of the user; drawn at random when left out."),
    )
    username = serializers.CharField(
        required=False, max_length=150, help_text=_("For signing in; the user_ref when left out.")
    )
    password = serializers.CharField(
        required=False,
        max_length=128,
        trim_whitespace=False,
        write_only=True,
        help_text=_("Without one, nobody can sign in to the account with a password."),
    )
    email = serializers.EmailField(required=False, default="", allow_blank=True)
    role = serializers.ChoiceField(
        choices=[(role.value.lower(), role.label) for role in Role],
        default=Role.USER.value.lower(),
    )

    def validate_role(self, value: str) -> Role:
        """From the wire's lower case."""
        return Role(value.upper())


class ApiKeyCreateSerializer(serializers.Serializer[Any]):
    """A key to issue."""

    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=Scope.choices), allow_empty=False
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    allowed_networks = serializers.ListField(
        child=serializers.CharField(max_length=43),
        required=False,
        default=list,
        help_text=_("CIDR notation, IPv4 or IPv6; from anywhere when empty."),
    )
    daily_token_budget = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=_BIGINT_MAX,
        help_text=_("Tokens that jobs of this key may set aside in one day of UTC."),
    )
    requests_per_minute = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=_INT_MAX
    )
    requires_signature = serializers.BooleanField(
        required=False,
        default=False,
        help_text=_("Requests that move tokens must be signed."),
    )
    is_test = serializers.BooleanField(
        required=False,
        default=False,
        help_text=_("The key acts as your sandbox, with tokens of its own that are free."),
    )

    def to_limits(self) -> KeyLimits:
        """What the key may do beside its scopes."""
        data = self.validated_data
        return KeyLimits(
            allowed_networks=tuple(data["allowed_networks"]),
            daily_token_budget=data["daily_token_budget"],
            requests_per_minute=data["requests_per_minute"],
            requires_signature=data["requires_signature"],
        )


class ApiKeyRotateSerializer(serializers.Serializer[Any]):
    """How long the old key works beside the new one."""

    grace_s = serializers.IntegerField(
        required=False, default=_DAY_S, min_value=0, max_value=30 * _DAY_S
    )


class ApiKeySerializer(serializers.Serializer[Any]):
    """A key without its secret."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    last4 = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_used_from = serializers.IPAddressField(allow_null=True)
    exposed_at = serializers.DateTimeField(
        allow_null=True, help_text=_("When it last came over plain HTTP: replace it then.")
    )
    allowed_networks = serializers.ListField(child=serializers.CharField())
    daily_token_budget = serializers.IntegerField(allow_null=True)
    requests_per_minute = serializers.IntegerField(allow_null=True)
    requires_signature = serializers.BooleanField()
    is_test = serializers.BooleanField()
    replaced_by = serializers.UUIDField(source="replaced_by_id", allow_null=True)


class ApiKeyListSerializer(serializers.Serializer[Any]):
    """All keys of the caller."""

    items = ApiKeySerializer(many=True)


class IssuedKeySerializer(ApiKeySerializer):
    """A new key with its secret, shown this once."""

    key = serializers.CharField()
    signing_secret = serializers.CharField(
        allow_null=True, help_text=_("For keys that sign; it is not shown again.")
    )


class PasswordSerializer(serializers.Serializer[Any]):
    """The caller's password once more."""

    password = serializers.CharField(max_length=128, trim_whitespace=False, write_only=True)


class CodeSerializer(serializers.Serializer[Any]):
    """A code of the caller's authenticator."""

    code = serializers.CharField(
        max_length=64, help_text=_("Six digits, or a recovery code; each works once.")
    )


class SecondFactorSerializer(serializers.Serializer[Any]):
    """What the caller has."""

    is_enrolled = serializers.BooleanField()
    recovery_codes_left = serializers.IntegerField()
    proven_until = serializers.DateTimeField(
        allow_null=True, help_text=_("Until when no new code is asked for with this sign-in.")
    )


class EnrolmentSerializer(serializers.Serializer[Any]):
    """The secret of a new authenticator, shown this once."""

    secret = serializers.CharField(help_text=_("Base32, for typing it in."))
    url = serializers.CharField(help_text=_("otpauth:// link, for a QR code."))


class RecoveryCodesSerializer(serializers.Serializer[Any]):
    """Fresh recovery codes, shown this once."""

    recovery_codes = serializers.ListField(child=serializers.CharField())


class StepUpSerializer(serializers.Serializer[Any]):
    """How long the proof counts."""

    proven_until = serializers.DateTimeField()
