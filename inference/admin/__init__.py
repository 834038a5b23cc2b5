"""Back-office screens of inference: look at uploads, quotes and jobs; requeue or refund a job.

Nothing can be edited. Pictures are served by views of the admin site itself, to staff who may see
the row, and each look at one is logged.
"""

from inference.admin.jobs import SwapJobAdmin
from inference.admin.uploads import MediaAssetAdmin, SwapQuoteAdmin

__all__ = ["MediaAssetAdmin", "SwapJobAdmin", "SwapQuoteAdmin"]
