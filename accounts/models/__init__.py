"""Users, their API keys, second factors and webhooks."""

from accounts.models.api_keys import ApiKey, ApiKeySpending
from accounts.models.factors import Authenticator, RecoveryCode, StepUpGrant
from accounts.models.freezes import AccountFreeze, AccountNote
from accounts.models.sign_ins import RefreshFamily, SignIn
from accounts.models.users import User, UserManager, generate_user_ref
from accounts.models.webhooks import (
    BalanceAlert,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

__all__ = [
    "AccountFreeze",
    "AccountNote",
    "ApiKey",
    "ApiKeySpending",
    "Authenticator",
    "BalanceAlert",
    "RecoveryCode",
    "RefreshFamily",
    "SignIn",
    "StepUpGrant",
    "User",
    "UserManager",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "generate_user_ref",
]
