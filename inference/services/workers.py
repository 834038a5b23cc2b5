"""What operators may tell workers."""

from __future__ import annotations

import uuid
from functools import partial

import structlog
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from facefusion_site.common import audit
from inference import queue_selectors
from inference.models import Worker
from inference.worker_errors import WorkerNotFoundError

log = structlog.get_logger(__name__)


def drain_worker(*, worker_id: uuid.UUID, actor_id: int) -> None:
    """Let a worker finish what it has and take nothing new. Owns its transaction.

    It sees this within WORKER_BEAT_S seconds. Draining again changes nothing. The process itself
    goes on, so that whoever drained it decides when it ends; started anew, it takes work again.

    Raises:
        WorkerNotFoundError: there is no such worker, or it has stopped or was lost.
    """
    _steer(worker_id, actor_id=actor_id, is_draining=True)


def resume_worker(*, worker_id: uuid.UUID, actor_id: int) -> None:
    """Let a draining worker take work again; see ``drain_worker``."""
    _steer(worker_id, actor_id=actor_id, is_draining=False)


@transaction.atomic(durable=True)
def _steer(worker_id: uuid.UUID, *, actor_id: int, is_draining: bool) -> None:
    worker = Worker.objects.select_for_update(no_key=True).filter(pk=worker_id).first()
    if worker is None or not queue_selectors.is_live(worker):
        raise WorkerNotFoundError(_("No worker with this id is at work."))
    if worker.is_draining == is_draining:
        return
    worker.is_draining = is_draining
    worker.save(update_fields=["is_draining"])
    action = "worker.draining" if is_draining else "worker.resumed"
    audit.record(
        actor_id=actor_id,
        action=action,
        subject=f"worker:{worker.name}",
        before={"is_draining": not is_draining},
        after={"is_draining": is_draining},
    )
    transaction.on_commit(
        partial(log.info, f"inference.{action}", worker=worker.name, actor_id=actor_id)
    )
