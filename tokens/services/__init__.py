"""What other apps and the interfaces may ask of tokens: the writes."""

from tokens.ledger.events import record_event
from tokens.recharge_orders import staged_template
from tokens.services.adjustments import adjust_wallet, preview_adjustment
from tokens.services.approvals import answer_question
from tokens.services.batches import (
    approve_together,
    follow_batch,
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
from tokens.services.breaks import look_into_break, resolve_break
from tokens.services.daily_claims import claim_daily, daily_claim
from tokens.services.drafts import (
    draft_from_file,
    draft_from_list,
    draft_from_segment,
    draft_from_users,
    expected_policies,
    give_terms,
    submit_draft,
)
from tokens.services.exports import open_export, order_export
from tokens.services.grants import (
    checked_day,
    grant_vip,
    missed_grant_days,
    preview_grant,
    preview_vip_grant,
    run_grant,
)
from tokens.services.holds import (
    expire_lots,
    extend_hold,
    overdue_lots,
    place_hold,
    place_holds,
    record_late_result,
    refund_hold,
    settle_hold,
    void_hold,
)
from tokens.services.plan_cycles import grant_plan_cycle, preview_plan_cycle
from tokens.services.plan_rules import add_plan_rule
from tokens.services.policies import decide_policy_change, propose_policy, recall_policy_change
from tokens.services.prices import draw_prices, price_usage, record_price, simulate_prices
from tokens.services.rate_cards import (
    decide_rate_card,
    propose_rate_card,
    recall_rate_card,
    stop_prices,
    try_rate_card,
)
from tokens.services.recharge import (
    bulk_recharge,
    create_batch,
    filtered_rows,
    preview,
)
from tokens.services.sandbox import refill_sandbox
from tokens.services.segments import count_users, retire_segment, save_segment
from tokens.services.wallets import close_wallet, freeze_wallet, unfreeze_wallet

__all__ = [
    "add_plan_rule",
    "adjust_wallet",
    "answer_question",
    "approve_together",
    "bulk_recharge",
    "checked_day",
    "claim_daily",
    "close_wallet",
    "count_users",
    "create_batch",
    "daily_claim",
    "decide_policy_change",
    "decide_rate_card",
    "draft_from_file",
    "draft_from_list",
    "draft_from_segment",
    "draft_from_users",
    "draw_prices",
    "expected_policies",
    "expire_lots",
    "extend_hold",
    "filtered_rows",
    "follow_batch",
    "freeze_wallet",
    "give_terms",
    "grant_plan_cycle",
    "grant_vip",
    "look_into_break",
    "missed_grant_days",
    "open_export",
    "order_export",
    "overdue_lots",
    "pause_batch",
    "place_hold",
    "place_holds",
    "preview",
    "preview_adjustment",
    "preview_grant",
    "preview_plan_cycle",
    "preview_reversal",
    "preview_vip_grant",
    "price_usage",
    "propose_policy",
    "propose_rate_card",
    "recall_policy_change",
    "recall_rate_card",
    "record_event",
    "record_late_result",
    "record_price",
    "refill_sandbox",
    "refund_hold",
    "refuse_batch",
    "release_batch",
    "resolve_break",
    "resume_batch",
    "retire_segment",
    "retry_failures",
    "reverse_batch",
    "run_grant",
    "save_segment",
    "settle_hold",
    "simulate_prices",
    "staged_template",
    "stop_batch",
    "stop_prices",
    "submit_draft",
    "try_rate_card",
    "unfreeze_wallet",
    "void_hold",
    "vote_on_batch",
]
