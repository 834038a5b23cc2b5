"""Ordering exports that a worker writes, and downloading them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.types import Scope
from facefusion_site.common.celery import send_on_commit
from tokens import exports
from tokens.book_errors import ExportNotReadyError, TooManyExportsError
from tokens.exports import ExportRequest
from tokens.ledger.events import record_event
from tokens.models import ExportJob
from tokens.services.duties import require_duty
from tokens.tasks import write_export

OPEN = (ExportJob.Status.QUEUED, ExportJob.Status.RUNNING)


@transaction.atomic(durable=True)
def order_export(*, request: ExportRequest, file_format: str, actor_id: int) -> ExportJob:
    """Have a worker write an export; owns its transaction.

    Args:
        request: what to export.
        file_format: ``csv`` or ``xlsx``.
        actor_id: primary key of who orders it, and alone may download it.

    Raises:
        RoleRequiredError: the actor's role does not read the books.
        UnknownExportError: there is no such export, or its range ends before it starts.
        TooManyExportsError: so many exports of the actor are being written.
    """
    require_duty(actor_id=actor_id, scope=Scope.AUDIT_READ)
    exports.check(request=request)
    if ExportJob.objects.filter(requested_by_id=actor_id, status__in=OPEN).count() >= (
        settings.EXPORTS_AT_ONCE
    ):
        raise TooManyExportsError(_("So many of your exports are being written already."))
    job = ExportJob.objects.create(
        requested_by_id=actor_id,
        name=request.name,
        file_format=ExportJob.Format(file_format),
        first=request.first,
        last=request.last,
        basis=request.basis.value,
        account_id=request.owner_id,
    )
    _record(job, actor_id=actor_id, action="export.ordered")
    send_on_commit(write_export, export_id=str(job.pk))
    return job


@transaction.atomic(durable=True)
def open_export(*, export_id: uuid.UUID, actor_id: int) -> tuple[ExportJob, File[bytes]]:
    """The export and its file, to whoever ordered it; the download is audited.

    Owns its transaction; the caller closes the file.

    Raises:
        RoleRequiredError: the actor's role does not read the books any more.
        ExportNotReadyError: it is somebody else's, not written yet, or deleted.
    """
    require_duty(actor_id=actor_id, scope=Scope.AUDIT_READ)
    job = ExportJob.objects.filter(
        pk=export_id, requested_by_id=actor_id, status=ExportJob.Status.DONE
    ).first()
    if job is None:
        raise ExportNotReadyError(_("There is no such file for you."))
    try:
        file = default_storage.open(job.file_key, "rb")
    except FileNotFoundError as error:
        raise ExportNotReadyError(_("The file is gone.")) from error
    _record(job, actor_id=actor_id, action="export.downloaded")
    return job, file


def _record(job: ExportJob, *, actor_id: int, action: str) -> None:
    record_event(
        actor_id=actor_id,
        action=action,
        subject=f"export:{job.pk}",
        before=None,
        after={
            "name": job.name,
            "format": job.file_format,
            "first": job.first.isoformat(),
            "last": job.last.isoformat(),
            "basis": job.basis,
            "account_id": job.account_id,
        },
    )
