"""What the interfaces may ask of inference."""

from inference.services.jobs import requeue_swap_job, stop_swap_job, submit_swap_job
from inference.services.quotes import quote_swap
from inference.services.uploads import register_media, upload_bytes_max, upload_too_large

__all__ = [
    "quote_swap",
    "register_media",
    "requeue_swap_job",
    "stop_swap_job",
    "submit_swap_job",
    "upload_bytes_max",
    "upload_too_large",
]
