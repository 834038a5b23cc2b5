"""What others may ask of accounts."""

from accounts.services.api_keys import issue_api_key, note_key_use, revoke_api_key
from accounts.services.users import register_user, set_password, set_role, system_user

__all__ = [
    "issue_api_key",
    "note_key_use",
    "register_user",
    "revoke_api_key",
    "set_password",
    "set_role",
    "system_user",
]
