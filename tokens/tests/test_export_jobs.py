from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io

import pytest
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from openpyxl import load_workbook

from accounts.errors import RoleRequiredError
from accounts.types import Role
from tokens import export_files, export_handlers, exports, services
from tokens.book_errors import ExportNotReadyError, TooManyExportsError
from tokens.errors import UnknownExportError
from tokens.exports import ExportRequest
from tokens.models import AuditEvent, ExportJob
from tokens.services import proof
from tokens.tests.factories import make_user, recharge

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def auditor():
    return make_user(role=Role.AUDITOR, user_ref="auditor")


def wanted(name="journal", **more):
    today = timezone.now().date()
    return ExportRequest(name, more.pop("first", today - DAY), more.pop("last", today), **more)


def order(actor, *, name="journal", file_format="csv", **more):
    return services.order_export(
        request=wanted(name, **more), file_format=file_format, actor_id=actor.pk
    )


def download(job, actor):
    _row, file = services.open_export(export_id=job.pk, actor_id=actor.pk)
    with file:
        return file.read()


def test_a_worker_writes_what_the_direct_download_shows(auditor):
    recharge([make_user().user_ref for _ in range(5)], 7, actor=auditor)
    job = order(auditor)
    assert export_handlers.write_export(export_id=job.pk)
    job.refresh_from_db()
    assert (job.status, job.rows_done, job.rows_count) == ("DONE", 5, 5)
    data = download(job, auditor)
    assert data == b"".join(exports.stream(request=wanted()))
    assert (job.size_bytes, job.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    actions = AuditEvent.objects.filter(subject=f"export:{job.pk}").order_by("pk")
    assert [event.action for event in actions] == ["export.ordered", "export.downloaded"]
    # A message that comes twice changes nothing.
    assert not export_handlers.write_export(export_id=job.pk)


def test_a_workbook_holds_numbers_iso_times_and_no_formula(auditor, monkeypatch):
    monkeypatch.setattr(export_files, "SHEET_ROWS_MAX", 2)
    monkeypatch.setattr(export_files, "EXACT_MAX", 1_000)
    recharge([make_user().user_ref], 1_000, actor=auditor)
    recharge([make_user().user_ref, make_user().user_ref], 5, actor=auditor)
    job = order(auditor, file_format="xlsx")
    assert export_handlers.write_export(export_id=job.pk)
    book = load_workbook(io.BytesIO(download(job, auditor)))
    assert [sheet.title for sheet in book] == ["journal 1", "journal 2"]
    header, *rows = book["journal 1"].iter_rows()
    names = [cell.value for cell in header]
    amounts = [row[names.index("amount")].value for row in rows]
    # Of a number that is too long Excel would keep the first digits only.
    assert amounts == ["1000", 5]
    moment = rows[0][names.index("recorded_at")].value
    assert dt.datetime.fromisoformat(str(moment)).tzinfo is not None
    assert [cell.value for cell in next(book["journal 2"].iter_rows())] == names
    assert book["journal 2"].max_row == 2


def test_texts_of_a_workbook_are_never_formulas(auditor):
    with transaction.atomic():
        proof.record_event(
            actor_id=auditor.pk,
            action="=1+1",
            subject="\x01line\nbreak",
            before=None,
            after={"b": "=2"},
        )
    job = order(auditor, name="audit", file_format="xlsx")
    assert export_handlers.write_export(export_id=job.pk)
    book = load_workbook(io.BytesIO(download(job, auditor)))
    cells = [cell for row in book.worksheets[0].iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    texts = {cell.value for cell in cells}
    assert {"'=1+1", '{"b": "=2"}'} <= texts


def test_rows_with_line_breaks_count_as_one(auditor):
    with transaction.atomic():
        proof.record_event(
            actor_id=auditor.pk, action="a", subject="two\nlines", before=None, after=None
        )
    job = order(auditor, name="audit")
    export_handlers.write_export(export_id=job.pk)
    job.refresh_from_db()
    rows = list(csv.DictReader(io.StringIO(download(job, auditor).decode())))
    assert job.rows_done == job.rows_count == len(rows)


def test_only_who_ordered_it_downloads_it(auditor):
    job = order(auditor)
    with pytest.raises(ExportNotReadyError) as refused:
        download(job, auditor)
    assert refused.value.code == "export_not_ready"
    export_handlers.write_export(export_id=job.pk)
    with pytest.raises(ExportNotReadyError):
        download(job, make_user(role=Role.ADMIN))
    with pytest.raises(RoleRequiredError):
        order(make_user(role=Role.SUPPORT))
    auditor.is_active = False
    auditor.save()
    with pytest.raises(RoleRequiredError):
        download(job, auditor)


def test_orders_have_limits(auditor, settings):
    settings.EXPORTS_AT_ONCE = 1
    with pytest.raises(UnknownExportError):
        order(auditor, name="passwords")
    job = order(auditor)
    with pytest.raises(TooManyExportsError) as refused:
        order(auditor)
    assert refused.value.code == "too_many_exports"
    export_handlers.write_export(export_id=job.pk)
    assert order(auditor).status == "QUEUED"


def test_a_lost_worker_is_replaced_and_comes_too_late(auditor, monkeypatch):
    recharge([auditor.user_ref], 7, actor=auditor)
    job = order(auditor)
    now = timezone.now()
    assert export_handlers.lost_exports(now=now) == []
    assert export_handlers.lost_exports(now=now + 2 * export_handlers.LOST_AFTER) == [job.pk]
    publish = export_handlers._publish

    def overtaken(row, **written):
        """The worker stands still before its last step until another one has done the work."""
        monkeypatch.setattr(export_handlers, "_publish", publish)
        ExportJob.objects.filter(pk=row.pk).update(lease_expires_at=now - DAY)
        assert export_handlers.lost_exports() == [row.pk]
        assert export_handlers.write_export(export_id=row.pk)
        publish(row, **written)

    monkeypatch.setattr(export_handlers, "_publish", overtaken)
    assert not export_handlers.write_export(export_id=job.pk)
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("DONE", 2)
    assert default_storage.listdir(f"exports/{job.pk}")[1] == ["2.csv"]
    assert download(job, auditor)


def test_an_export_that_always_fails_is_given_up(auditor):
    job = order(auditor)
    ExportJob.objects.filter(pk=job.pk).update(
        status="RUNNING",
        attempt=export_handlers.ATTEMPTS_MAX,
        lease_expires_at=timezone.now() - DAY,
    )
    assert export_handlers.lost_exports() == []
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("FAILED", "crashed")


def test_files_are_deleted_after_their_time(auditor, settings):
    job = order(auditor)
    export_handlers.write_export(export_id=job.pk)
    later = timezone.now() + dt.timedelta(days=settings.EXPORT_KEEP_DAYS)
    assert export_handlers.purge_exports() == 0
    assert export_handlers.purge_exports(now=later) == 1
    job.refresh_from_db()
    assert (job.status, job.file_key) == ("DELETED", "")
    assert default_storage.listdir(f"exports/{job.pk}")[1] == []
    with pytest.raises(ExportNotReadyError):
        download(job, auditor)
