"""What the interfaces may ask of inference."""

from inference.services.batches import (
    BatchOrder,
    BatchPreview,
    BatchRow,
    StoredBatch,
    cancel_job_batch,
    create_job_batch,
    join_job_batch,
    preview_job_batch,
)
from inference.services.enforcement import enforce_block, enforce_revocation, enforce_trust
from inference.services.faces import forget_faces, request_faces
from inference.services.imports import import_media
from inference.services.interventions import (
    cancel_swap_job,
    cancel_swap_job_of_anybody,
    preview_cancel,
    preview_cancel_of,
    requeue_swap_job,
    stop_swap_job,
)
from inference.services.jobs import (
    delete_result,
    require_result,
    retry_swap_job,
    submit_swap_job,
)
from inference.services.presigned import announce_upload, complete_upload, receive_bytes
from inference.services.quotes import quote_swap
from inference.services.removal import Erasure, delete_asset, erase_media, erase_result
from inference.services.uploads import register_media, upload_bytes_max, upload_too_large
from inference.services.verify import verify_digest, verify_file, verify_too_large
from inference.services.workers import drain_worker, resume_worker

__all__ = [
    "BatchOrder",
    "BatchPreview",
    "BatchRow",
    "Erasure",
    "StoredBatch",
    "announce_upload",
    "cancel_job_batch",
    "cancel_swap_job",
    "cancel_swap_job_of_anybody",
    "complete_upload",
    "create_job_batch",
    "delete_asset",
    "delete_result",
    "drain_worker",
    "enforce_block",
    "enforce_revocation",
    "enforce_trust",
    "erase_media",
    "erase_result",
    "forget_faces",
    "import_media",
    "join_job_batch",
    "preview_cancel",
    "preview_cancel_of",
    "preview_job_batch",
    "quote_swap",
    "receive_bytes",
    "register_media",
    "request_faces",
    "requeue_swap_job",
    "require_result",
    "resume_worker",
    "retry_swap_job",
    "stop_swap_job",
    "submit_swap_job",
    "upload_bytes_max",
    "upload_too_large",
    "verify_digest",
    "verify_file",
    "verify_too_large",
]
