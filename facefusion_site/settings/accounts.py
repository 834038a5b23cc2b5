"""Settings of accounts: how people sign in, freezes, and what is remembered."""

import environ
from celery.schedules import crontab

env = environ.Env()

# Lets nobody in whose sign-in is frozen, and ends their sessions at the next request.
AUTHENTICATION_BACKENDS = ["accounts.backends.AccountBackend"]
# The function that writes events of the audit trail, for apps below the one that keeps it.
AUDIT_WRITER = "tokens.services.record_event"
# How long it is remembered who signed in when and from where.
SIGN_INS_KEEP_DAYS = env.int("SIGN_INS_KEEP_DAYS", default=180)

ACCOUNTS_BEAT_SCHEDULE = {
    # A freeze whose time is over ends at most this late.
    "lift-expired-freezes": {
        "task": "accounts.lift_expired_freezes",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "purge-sign-ins": {
        "task": "accounts.purge_sign_ins",
        "schedule": crontab(minute="55", hour="3"),
        "options": {"expires": 3600.0},
    },
}
