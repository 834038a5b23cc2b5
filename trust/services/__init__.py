"""Writes of trust."""

from trust.services.consents import attest, revocation_enforced, revoke
from trust.services.receipts import issue_receipt, verify_receipt
from trust.services.takedowns import block_enforced, reject, report, uphold

__all__ = [
    "attest",
    "block_enforced",
    "issue_receipt",
    "reject",
    "report",
    "revocation_enforced",
    "revoke",
    "uphold",
    "verify_receipt",
]
