"""What other apps and the interfaces may ask of tokens: the writes."""

from tokens.services.holds import (
    expire_lots,
    extend_hold,
    place_hold,
    record_late_result,
    refund_hold,
    settle_hold,
    void_hold,
)
from tokens.services.prices import price_usage
from tokens.services.recharge import bulk_recharge

__all__ = [
    "bulk_recharge",
    "expire_lots",
    "extend_hold",
    "place_hold",
    "price_usage",
    "record_late_result",
    "refund_hold",
    "settle_hold",
    "void_hold",
]
