"""Settings of bulk recharges: sizes, chunks, files, leases."""

import environ

env = environ.Env()

# Lines of one JSON body; streams and files may carry as many as their mode allows.
RECHARGE_LINES_MAX = env.int("RECHARGE_LINES_MAX", default=10_000)
RECHARGE_SYNC_LINES_MAX = env.int("RECHARGE_SYNC_LINES_MAX", default=1_000)
RECHARGE_ATOMIC_LINES_MAX = env.int("RECHARGE_ATOMIC_LINES_MAX", default=100_000)
RECHARGE_SOFT_FAIL_LINES_MAX = env.int("RECHARGE_SOFT_FAIL_LINES_MAX", default=1_000_000)
RECHARGE_CHUNK_LINES = env.int("RECHARGE_CHUNK_LINES", default=2_500)
RECHARGE_FAILURES_LISTED = env.int("RECHARGE_FAILURES_LISTED", default=1_000)
RECHARGE_FILE_BYTES_MAX = env.int("RECHARGE_FILE_BYTES_MAX", default=256 * 1024 * 1024)
RECHARGE_CELL_LENGTH_MAX = env.int("RECHARGE_CELL_LENGTH_MAX", default=1_000)
# Longer than one chunk, or a whole atomic batch, may take.
RECHARGE_LEASE_S = env.int("RECHARGE_LEASE_S", default=120)
RECHARGE_ATTEMPTS_MAX = env.int("RECHARGE_ATTEMPTS_MAX", default=10)
# How long the rows of a finished batch stay staged beside their lines; at least 7 days.
RECHARGE_CHUNK_KEEP_DAYS = env.int("RECHARGE_CHUNK_KEEP_DAYS", default=30)
RECHARGE_AMOUNT_MAX = env.int("RECHARGE_AMOUNT_MAX", default=1_000_000_000)
# Recharges that are prepared in the console: rows, bytes of a file, and how long both are kept.
RECHARGE_DRAFT_LINES_MAX = env.int("RECHARGE_DRAFT_LINES_MAX", default=50_000)
RECHARGE_DRAFT_BYTES_MAX = env.int("RECHARGE_DRAFT_BYTES_MAX", default=16 * 1024 * 1024)
RECHARGE_DRAFT_KEEP_DAYS = env.int("RECHARGE_DRAFT_KEEP_DAYS", default=30)
# A row is looked at twice when it is this many times the account's largest recharge of 90 days.
RECHARGE_HABIT_FACTOR = env.int("RECHARGE_HABIT_FACTOR", default=3)
# Approvals that have waited longer than this are shown as late.
APPROVAL_SLA_S = env.int("APPROVAL_SLA_S", default=4 * 60 * 60)
RECHARGE_TASK_ROUTES = {
    "tokens.apply_recharge_batch": {"queue": "money"},
    "tokens.check_recharge_draft": {"queue": "money"},
}
