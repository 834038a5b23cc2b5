"""Settings of the rows that workers keep about themselves."""

import environ

env = environ.Env()

# Seconds between two reports of a worker; also how long it may take until it sees that it drains.
WORKER_BEAT_S = env.float("WORKER_BEAT_S", default=10)
# A worker that has not reported for so long is shown as lost.
WORKER_LOST_S = env.int("WORKER_LOST_S", default=60)
