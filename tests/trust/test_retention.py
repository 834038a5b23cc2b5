"""Media past its time raises an alarm; media that is not, or that a job needs, does not."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from accounts.types import Role
from inference import media_handlers, retention_selectors
from inference.models import MediaAsset
from inference.tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def told() -> tuple[int, dict[str, int]]:
    out = StringIO()
    try:
        call_command("retention_report", "--json", stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def test_an_upload_past_its_time_raises_an_alarm_until_it_is_purged(user, client, settings):
    settings.CONSENT_REQUIRED = "off"
    reviewer = factories.make_user(role=Role.SAFETY)
    client.force_login(reviewer)
    needed = factories.make_job(owner_id=user.pk).quote.source
    late = factories.make_asset(owner_id=user.pk)
    factories.make_asset(owner_id=user.pk)
    assert told() == (0, {"uploads": 0, "announced": 0, "half_deleted": 0, "faces": 0, "total": 0})
    over = timezone.now() - dt.timedelta(seconds=settings.RETENTION_GRACE_S + 60)
    MediaAsset.objects.filter(pk__in=[late.pk, needed.pk]).update(expires_at=over)
    status, report = told()
    assert (status, report["uploads"], report["total"]) == (1, 1, 1)
    alarm = "1 file is kept past its time"
    assert alarm in client.get(reverse("admin:index")).content.decode()
    media_handlers.purge_media()
    assert told()[0] == 0
    assert alarm not in client.get(reverse("admin:index")).content.decode()


def test_each_kind_counts(user, settings):
    settings.CONSENT_REQUIRED = "off"
    over = timezone.now() - dt.timedelta(seconds=settings.RETENTION_GRACE_S + 60)
    half = factories.make_asset(owner_id=user.pk)
    MediaAsset.objects.filter(pk=half.pk).update(status="DELETING", created_at=over)
    waiting = factories.make_asset(owner_id=user.pk)
    MediaAsset.objects.filter(pk=waiting.pk).update(status="PENDING_UPLOAD", upload_expires_at=over)
    found = retention_selectors.overdue_media()
    assert (found.uploads, found.announced, found.half_deleted) == (0, 1, 1)
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("retention_report", stdout=out)
    assert "half_deleted" in out.getvalue()
