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
from tokens.services.policies import EDITABLE as POLICY_FIELDS
from tokens.services.policies import save_policy
from tokens.services.prices import price_usage
from tokens.services.recharge import (
    bulk_recharge,
    create_batch,
    filtered_rows,
    preview,
    staged_template,
)

__all__ = [
    "POLICY_FIELDS",
    "bulk_recharge",
    "create_batch",
    "expire_lots",
    "extend_hold",
    "filtered_rows",
    "pause_batch",
    "place_hold",
    "preview",
    "preview_reversal",
    "price_usage",
    "record_late_result",
    "refund_hold",
    "refuse_batch",
    "release_batch",
    "resume_batch",
    "retry_failures",
    "reverse_batch",
    "save_policy",
    "settle_hold",
    "staged_template",
    "stop_batch",
    "void_hold",
    "vote_on_batch",
]
