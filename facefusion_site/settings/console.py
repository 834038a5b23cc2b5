"""Settings of the console: who gets in, and for how long."""

import environ

env = environ.Env()

# Staff prove a second factor with each session before any page of the console opens; who has none
# sets one up first.
CONSOLE_SECOND_FACTOR = env.bool("CONSOLE_SECOND_FACTOR", default=True)
# Sessions of staff end after so many seconds without a request, and in any case after the second.
CONSOLE_IDLE_S = env.int("CONSOLE_IDLE_S", default=15 * 60)
CONSOLE_SESSION_MAX_S = env.int("CONSOLE_SESSION_MAX_S", default=8 * 60 * 60)
# Tries to sign in from one address.
LOGIN_RATE = env.str("LOGIN_RATE", default="10/m")
# Tries to sign in to one account, wherever they come from.
LOGIN_ACCOUNT_RATE = env.str("LOGIN_ACCOUNT_RATE", default="20/15m")
# How long a proven second factor stays good for the session or access token that proved it.
STEP_UP_TTL_S = env.int("STEP_UP_TTL_S", default=5 * 60)
STEP_UP_RATE = env.str("STEP_UP_RATE", default="10/m")
# The brand, from light to dark.
CONSOLE_COLOURS = {
    "50": "#ecfdf8",
    "100": "#d0f8ec",
    "200": "#a5efdb",
    "300": "#6be0c5",
    "400": "#33c8aa",
    "500": "#12ad91",
    "600": "#057a68",
    "700": "#096f60",
    "800": "#0c584e",
    "900": "#0e4941",
    "950": "#022b27",
}
