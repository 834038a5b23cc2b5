"""Settings of consents, takedowns and receipts of erasure."""

import environ

env = environ.Env()

# What the face of a source needs before a swap is priced. "attest": somebody vouched for it, once
# for an account's own face or for each picture of others. "documented": a consent in writing or a
# licence names the picture. "off": nothing is asked. What was revoked is refused in any case.
CONSENT_REQUIRED = env.str("CONSENT_REQUIRED", default="attest")
# Reports of pictures and videos by anybody, by address, and how large a copy may be that is hashed.
TAKEDOWNS_RATE = env.str("TAKEDOWNS_RATE", default="10/h")
TAKEDOWN_STATUS_RATE = env.str("TAKEDOWN_STATUS_RATE", default="60/m")
TAKEDOWN_FILE_BYTES_MAX = env.int("TAKEDOWN_FILE_BYTES_MAX", default=100 * 1024 * 1024)
# Public keys, in Base64, of former keys that signed receipts of erasure.
RECEIPT_FORMER_KEYS = env.list("RECEIPT_FORMER_KEYS", default=[])
# How long after its time media may still be there before somebody has to look.
RETENTION_GRACE_S = env.int("RETENTION_GRACE_S", default=60 * 60)
TRUST_BEAT_SCHEDULE = {
    "enforce-trust": {
        "task": "inference.enforce_trust",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
}
