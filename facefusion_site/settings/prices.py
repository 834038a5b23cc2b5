"""Settings of prices that follow the load, and of what work costs to do."""

import environ

env = environ.Env()

# Whole tokens a picture, and a started second of video, until a rate card is published.
TOKENS_PRICE_IMAGE = env.int("TOKENS_PRICE_IMAGE", default=1)
TOKENS_PRICE_VIDEO_SECOND = env.int("TOKENS_PRICE_VIDEO_SECOND", default=10)
# How often the load is measured and the price decided anew.
PRICE_TICK_S = env.int("PRICE_TICK_S", default=60)
# A price measured longer ago counts no more: then the ordinary one is asked.
PRICE_TICK_FRESH_S = env.int("PRICE_TICK_FRESH_S", default=300)
# Requests for the published price by one address.
PRICING_RATE = env.str("PRICING_RATE", default="60/m")
# What the platform pays for work, in millionths of its currency: a second of one processor core,
# and of one GPU.
COST_CPU_SECOND_MICROS = env.int("COST_CPU_SECOND_MICROS", default=14)
COST_GPU_SECOND_MICROS = env.int("COST_GPU_SECOND_MICROS", default=700)
# What customers pay for a token, in millionths of the same currency.
TOKEN_VALUE_MICROS = env.int("TOKEN_VALUE_MICROS", default=10_000)
# What proposed prices add to the measured cost.
CALIBRATION_MARGIN_PERCENT = env.int("CALIBRATION_MARGIN_PERCENT", default=50)

PRICE_BEAT_SCHEDULE = {
    "measure-price": {
        "task": "inference.measure_price",
        "schedule": float(PRICE_TICK_S),
        "options": {"expires": float(PRICE_TICK_S)},
    },
}
