"""Settings of the console: who gets in, and for how long."""

import environ

env = environ.Env()

# Staff prove a second factor with each session before any page of the console opens; who has none
# sets one up first.
CONSOLE_SECOND_FACTOR = env.bool("CONSOLE_SECOND_FACTOR", default=True)
# Sessions of staff end after so many seconds without a request, and in any case after the second.
CONSOLE_IDLE_S = env.int("CONSOLE_IDLE_S", default=15 * 60)
CONSOLE_SESSION_MAX_S = env.int("CONSOLE_SESSION_MAX_S", default=8 * 60 * 60)
# Tries to sign in to one account, wherever they come from; LOGIN_RATE counts those of one address.
LOGIN_ACCOUNT_RATE = env.str("LOGIN_ACCOUNT_RATE", default="20/15m")
