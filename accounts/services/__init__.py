"""What others may ask of accounts."""

from accounts.services.api_keys import (
    issue_api_key,
    note_key_exposure,
    note_key_use,
    revoke_api_key,
    rotate_api_key,
)
from accounts.services.factors import reset_second_factor
from accounts.services.freezes import (
    freeze_account,
    lift_freeze,
    lift_freezes,
    lock_account,
    set_appeal,
)
from accounts.services.key_budgets import give_back_key_budget, spend_key_budget
from accounts.services.notes import write_note
from accounts.services.sign_ins import (
    note_sign_in,
    open_sign_in,
    renew_sign_in,
    revoke_sign_ins,
)
from accounts.services.slowing import slow_account
from accounts.services.users import (
    register_user,
    set_password,
    set_role,
    set_time_zone,
    system_user,
)
from accounts.services.webhook_endpoints import (
    change_endpoint,
    create_endpoint,
    delete_endpoint,
    reencrypt_endpoints,
    rotate_secret,
    switch_endpoint_off,
)
from accounts.services.webhooks import (
    enqueue_webhook,
    enqueue_webhooks,
    note_balances,
    replay_delivery,
    replay_range,
    send_test,
    set_balance_alert,
)

__all__ = [
    "change_endpoint",
    "create_endpoint",
    "delete_endpoint",
    "enqueue_webhook",
    "enqueue_webhooks",
    "freeze_account",
    "give_back_key_budget",
    "issue_api_key",
    "lift_freeze",
    "lift_freezes",
    "lock_account",
    "note_balances",
    "note_key_exposure",
    "note_key_use",
    "note_sign_in",
    "open_sign_in",
    "reencrypt_endpoints",
    "register_user",
    "renew_sign_in",
    "replay_delivery",
    "replay_range",
    "reset_second_factor",
    "revoke_api_key",
    "revoke_sign_ins",
    "rotate_api_key",
    "rotate_secret",
    "send_test",
    "set_appeal",
    "set_balance_alert",
    "set_password",
    "set_role",
    "set_time_zone",
    "slow_account",
    "spend_key_budget",
    "switch_endpoint_off",
    "system_user",
    "write_note",
]
