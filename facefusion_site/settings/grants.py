"""Settings of grants that rules make: claims, missed runs, codes."""

import environ
from celery.schedules import crontab

env = environ.Env()

# Tokens that free accounts may claim each day, until a rule of the plan says otherwise; 0: none.
FREE_CLAIM_TOKENS = env.int("FREE_CLAIM_TOKENS", default=5)
CLAIM_RATE = env.str("CLAIM_RATE", default="20/m")
# Few enough that codes of campaigns cannot be guessed.
REDEEM_RATE = env.str("REDEEM_RATE", default="10/m")
# What the schedule does about days on which it did not run: catch_up, or only report.
GRANT_MISSED_RUNS = env.str("GRANT_MISSED_RUNS", default="catch_up")
GRANT_TASK_ROUTES = {
    "tokens.grant_plan_cycles": {"queue": "money"},
    "promotions.reward_creators": {"queue": "money"},
    "promotions.run_campaigns": {"queue": "money"},
}
GRANT_BEAT_SCHEDULE = {
    # Every hour: periods begin at midnight of GRANT_TIME_ZONE, and who subscribes later in the day
    # does not wait for the next one.
    "grant-plan-cycles": {
        "task": "tokens.grant_plan_cycles",
        "schedule": crontab(minute="8"),
        "options": {"expires": 3600.0},
    },
    # Not right at midnight, when the last swaps of the day are still being written.
    "reward-creators": {
        "task": "promotions.reward_creators",
        "schedule": crontab(minute="15", hour="1-23/2"),
        "options": {"expires": 3600.0},
    },
    "run-campaigns": {
        "task": "promotions.run_campaigns",
        "schedule": crontab(minute="*/10"),
        "options": {"expires": 600.0},
    },
}
