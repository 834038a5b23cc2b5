"""Settings of grants that rules make: claims, missed runs, codes."""

import environ

env = environ.Env()

# Tokens that free accounts may claim each day, until a rule of the plan says otherwise; 0: none.
FREE_CLAIM_TOKENS = env.int("FREE_CLAIM_TOKENS", default=5)
CLAIM_RATE = env.str("CLAIM_RATE", default="20/m")
# Few enough that codes of campaigns cannot be guessed.
REDEEM_RATE = env.str("REDEEM_RATE", default="10/m")
# What the schedule does about days on which it did not run: catch_up, or only report.
GRANT_MISSED_RUNS = env.str("GRANT_MISSED_RUNS", default="catch_up")
