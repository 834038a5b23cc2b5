"""Reports by anybody: received, decided once, and what they block gone wherever it was."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.types import Role
from facefusion_site.common.errors import DomainError
from inference import handlers, storage, transitions
from inference import services as inference_services
from inference.models import MediaAsset, SwapJob
from inference.tests import factories
from inference.types import StoredMedia, SwapOutput
from tests.trust.factories import report
from tokens import selectors as tokens_selectors
from tokens.models import AuditEvent
from trust import selectors, services
from trust.models import BlockedHash, Takedown

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reviewer():
    return factories.make_user(role=Role.SAFETY)


def refusal(function, *args, **kwargs) -> str:
    with pytest.raises(DomainError) as caught:
        function(*args, **kwargs)
    return caught.value.code


def uphold(row, reviewer, *sha256s):
    return services.uphold(
        takedown_id=row.pk, actor_id=reviewer.pk, sha256s=list(sha256s), note="We agree."
    )


def finished(user) -> SwapJob:
    """A job whose result lies in the storage."""
    job = factories.make_job(owner_id=user.pk)
    claim = factories.take(job)
    key = storage.result_key(job_id=job.pk, attempt=1, content_type="image/jpeg")
    data = factories.picture(seed=77)
    media = StoredMedia(
        key=key,
        sha256=storage.write_picture(key=key, data=data, thumbnail=data),
        content_type="image/jpeg",
        size_bytes=len(data),
        width_px=64,
        height_px=48,
    )
    assert transitions.finish(claim=claim, output=SwapOutput(media=media, faces=(), report={}))
    return SwapJob.objects.get(pk=job.pk)


def test_a_report_has_a_clock_of_48_hours_and_a_reference_that_is_not_guessed(user):
    row = report()
    assert abs(row.due_at - row.created_at - dt.timedelta(hours=48)) < dt.timedelta(minutes=1)
    assert row.reference != report().reference
    assert selectors.takedown(reference=f" {row.reference.lower()} ") == row
    assert (selectors.open_takedowns().open_count, selectors.open_takedowns().overdue_count) == (
        2,
        0,
    )
    Takedown.objects.filter(pk=row.pk).update(due_at=timezone.now())
    assert selectors.open_takedowns().overdue_count == 1
    assert refusal(selectors.takedown, reference="TD-NONE") == "takedown_not_found"
    event = AuditEvent.objects.get(subject=f"takedown:{row.reference}")
    assert "mia@example.com" not in str(event.after)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"sha256": ""}, "link"),
        ({"sha256": "xyz"}, "sha256"),
        ({"link": "javascript:alert(1)"}, "link"),
        ({"contact": "nobody"}, "contact"),
        ({"statement": " "}, "statement"),
        ({"reason": "dislike"}, "reason"),
    ],
)
def test_a_report_that_cannot_be_worked_on_is_refused(changes, param):
    with pytest.raises(DomainError) as caught:
        report(**changes)
    assert (caught.value.code, caught.value.param) == ("takedown_invalid", param)
    assert not Takedown.objects.exists()


def test_what_is_upheld_is_gone_everywhere_and_stays_out(user, reviewer, settings):
    settings.CONSENT_REQUIRED = "off"
    data = factories.picture(seed=42)
    other = factories.make_user(tokens=50)
    theirs = factories.make_asset(owner_id=other.pk, data=data)
    waiting = factories.make_job(owner_id=other.pk, source=data)
    done = finished(user)
    row = report(sha256=theirs.received_sha256)

    uphold(row, reviewer, theirs.received_sha256, done.result_sha256)

    theirs.refresh_from_db()
    done.refresh_from_db()
    waiting.refresh_from_db()
    assert theirs.status == MediaAsset.Status.DELETED
    assert done.result_deleted_at is not None
    assert not default_storage.exists(done.result_key)
    assert (waiting.status, waiting.error_code) == ("BLOCKED", "content_blocked")
    assert tokens_selectors.balance(user_id=other.pk).available == 50
    assert not MediaAsset.objects.filter(received_sha256=theirs.received_sha256, status="READY")
    blocked = {it.pk: it.removed_count for it in BlockedHash.objects.all()}
    assert blocked == {theirs.received_sha256: 2, done.result_sha256: 1}
    removed = AuditEvent.objects.filter(action="media.removed").values_list("subject", flat=True)
    assert f"asset:{theirs.pk}" in removed
    assert f"result:{done.pk}" in removed
    # Neither as it came, nor as it was kept, nor in three steps.
    for bytes_again in (data, None):
        if bytes_again:
            code = refusal(factories.make_asset, owner_id=user.pk, data=bytes_again)
            assert code == "content_blocked"
    opened = inference_services.announce_upload(
        owner_id=user.pk, name="again.jpg", size_bytes=len(data)
    )
    with storage.new_file(opened.asset.file_key) as path:
        path.write_bytes(data)
    code = refusal(inference_services.complete_upload, owner_id=user.pk, asset_id=opened.asset.pk)
    assert code == "content_blocked"
    row.refresh_from_db()
    assert (row.state, row.decided_by) == ("upheld", reviewer)


def test_a_result_with_a_blocked_hash_is_refused_with_a_full_refund(user, settings):
    settings.CONSENT_REQUIRED = "off"
    sandbox = factories.make_user(tokens=20)
    type(sandbox).objects.filter(pk=sandbox.pk).update(sandbox_of=user)
    # The sandbox makes the same result of the same pictures every time, without models.
    first, second = (
        factories.make_job(owner_id=sandbox.pk, target=factories.picture(seed=5)) for _ in range(2)
    )
    handlers.run_swap_job(job_id=first.pk)
    first.refresh_from_db()
    assert first.status == "SUCCEEDED", first.error_detail
    # As if the report had been upheld while the second job ran.
    BlockedHash.objects.create(sha256=first.result_sha256, takedown=report())
    handlers.run_swap_job(job_id=second.pk)
    second.refresh_from_db()
    assert (second.status, second.error_code) == ("BLOCKED", "content_blocked_in_result")
    assert not default_storage.exists(
        storage.result_key(job_id=second.pk, attempt=1, content_type="image/jpeg")
    )
    assert tokens_selectors.balance(user_id=sandbox.pk).held == 0


def test_a_report_is_decided_once_by_somebody_who_may(reviewer):
    row = report()
    digest = "cd" * 32
    stranger = factories.make_user(role=Role.SUPPORT)
    assert refusal(uphold, row, stranger, digest) == "role_required"
    assert refusal(uphold, row, reviewer) == "takedown_invalid"
    assert refusal(uphold, row, reviewer, "short") == "takedown_invalid"
    answer = {"takedown_id": row.pk, "actor_id": reviewer.pk}
    assert refusal(services.reject, **answer, note=" ") == "takedown_invalid"
    services.reject(**answer, note="The person shown is not you.")
    assert refusal(uphold, row, reviewer, digest) == "takedown_decided"
    assert not BlockedHash.objects.exists()
    event = AuditEvent.objects.get(action="takedown.rejected")
    assert event.before == {"state": "open"}
    assert event.after is not None
    assert event.after["state"] == "rejected"
    assert refusal(services.reject, **answer | {"takedown_id": reviewer_id()}, note="x") == (
        "takedown_not_found"
    )


def reviewer_id():
    return report().pk.__class__(int=1)
