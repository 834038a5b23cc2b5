"""Users, their API keys and second factors."""

from accounts.models.api_keys import ApiKey
from accounts.models.factors import Authenticator, RecoveryCode, StepUpGrant
from accounts.models.users import User, UserManager, generate_user_ref

__all__ = [
    "ApiKey",
    "Authenticator",
    "RecoveryCode",
    "StepUpGrant",
    "User",
    "UserManager",
    "generate_user_ref",
]
