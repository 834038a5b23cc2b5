"""Settings of sandboxes, the accounts of test keys."""

import environ

env = environ.Env()

# Tokens up to which a refill fills the wallet of a sandbox.
SANDBOX_TOKENS = env.int("SANDBOX_TOKENS", default=1_000)
SANDBOX_REFILL_RATE = env.str("SANDBOX_REFILL_RATE", default="10/h")
# How long a job with the magic input “slow” runs, in seconds.
SANDBOX_SLOW_S = env.int("SANDBOX_SLOW_S", default=10)
