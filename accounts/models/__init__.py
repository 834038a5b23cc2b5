"""Users, their API keys, second factors and webhooks."""

from accounts.models.api_keys import ApiKey
from accounts.models.factors import Authenticator, RecoveryCode, StepUpGrant
from accounts.models.users import User, UserManager, generate_user_ref
from accounts.models.webhooks import (
    BalanceAlert,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

__all__ = [
    "ApiKey",
    "Authenticator",
    "BalanceAlert",
    "RecoveryCode",
    "StepUpGrant",
    "User",
    "UserManager",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "generate_user_ref",
]
