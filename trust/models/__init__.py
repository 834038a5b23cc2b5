"""Rows of trust."""

from trust.models.consents import Consent, ConsentAsset
from trust.models.receipts import ErasureReceipt
from trust.models.takedowns import BlockedHash, Takedown

__all__ = ["BlockedHash", "Consent", "ConsentAsset", "ErasureReceipt", "Takedown"]
