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
