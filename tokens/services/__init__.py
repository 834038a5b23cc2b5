"""What other apps and the interfaces may ask of tokens: the writes."""

from tokens.services.batches import (
    pause_batch,
    preview_reversal,
    refuse_batch,
    release_batch,
    resume_batch,
    retry_failures,
    reverse_batch,
    stop_batch,
    vote_on_batch,
)
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
from tokens.services.recharge import (
    bulk_recharge,
    create_batch,
    create_batch_for_users,
    preview,
    preview_for_users,
)

__all__ = [
    "bulk_recharge",
    "create_batch",
    "create_batch_for_users",
    "expire_lots",
    "extend_hold",
    "pause_batch",
    "place_hold",
    "preview",
    "preview_for_users",
    "preview_reversal",
    "price_usage",
    "record_late_result",
    "refund_hold",
    "refuse_batch",
    "release_batch",
    "resume_batch",
    "retry_failures",
    "reverse_batch",
    "settle_hold",
    "stop_batch",
    "void_hold",
    "vote_on_batch",
]
