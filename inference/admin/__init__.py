"""Back-office screens of inference: look at uploads, quotes and jobs; requeue or refund a job.

Nothing can be edited. Pictures are served by views of the admin site itself, to staff who may see
the row, and each look at one is logged.
"""

from inference.admin.batches import JobBatchAdmin
from inference.admin.jobs import SwapJobAdmin
from inference.admin.prices import JobMeterAdmin
from inference.admin.uploads import MediaAssetAdmin, SwapQuoteAdmin
from inference.admin.workers import WorkerAdmin

__all__ = [
    "JobBatchAdmin",
    "JobMeterAdmin",
    "MediaAssetAdmin",
    "SwapJobAdmin",
    "SwapQuoteAdmin",
    "WorkerAdmin",
]
