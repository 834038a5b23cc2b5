"""The ledger's rows.

Every movement of tokens is one immutable Transfer that names a debit account, a credit account and
the lot it concerns, so the books sum to zero by construction. Wallets and lots cache what is free
and what is held; both are guarded by CHECKs and proven against the journal by the invariants.
"""

from tokens.models.adjustments import Adjustment
from tokens.models.approvals import (
    ApprovalAnswer,
    ApprovalAssessment,
    ApprovalPolicy,
    ApprovalRequest,
    ApprovalSubject,
    ApprovalVote,
    ApproverRole,
)
from tokens.models.breaks import ReconBreak
from tokens.models.drafts import (
    RechargeDraft,
    RechargeDraftFile,
    RechargeDraftRow,
    UserSegment,
)
from tokens.models.exports import ExportJob
from tokens.models.grants import ScheduledGrant
from tokens.models.holds import Hold, HoldEvent
from tokens.models.journal import Account, Transfer
from tokens.models.plans import PlanRule
from tokens.models.policy_changes import PolicyChange
from tokens.models.prices import PriceStop, PriceTick, RateCard
from tokens.models.proof import (
    AuditEvent,
    BalanceSnapshot,
    MonthClose,
    ReconRun,
    SealBlock,
    SealedEvent,
    SealMember,
    SnapshotDay,
)
from tokens.models.recharge import RechargeBatch, RechargeChunk, RechargeLine
from tokens.models.rollups import (
    Book,
    ConsumptionDay,
    JournalDay,
    LiabilityDay,
    RollupHead,
)
from tokens.models.wallets import CreditLot, Wallet

__all__ = [
    "Account",
    "Adjustment",
    "ApprovalAnswer",
    "ApprovalAssessment",
    "ApprovalPolicy",
    "ApprovalRequest",
    "ApprovalSubject",
    "ApprovalVote",
    "ApproverRole",
    "AuditEvent",
    "BalanceSnapshot",
    "Book",
    "ConsumptionDay",
    "CreditLot",
    "ExportJob",
    "Hold",
    "HoldEvent",
    "JournalDay",
    "LiabilityDay",
    "MonthClose",
    "PlanRule",
    "PolicyChange",
    "PriceStop",
    "PriceTick",
    "RateCard",
    "RechargeBatch",
    "RechargeChunk",
    "RechargeDraft",
    "RechargeDraftFile",
    "RechargeDraftRow",
    "RechargeLine",
    "ReconBreak",
    "ReconRun",
    "RollupHead",
    "ScheduledGrant",
    "SealBlock",
    "SealMember",
    "SealedEvent",
    "SnapshotDay",
    "Transfer",
    "UserSegment",
    "Wallet",
]
