"""Settings with which deliveries would go wrong are refused at the start."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError


@pytest.mark.parametrize("lease_s", [14, 15])
def test_a_lease_that_ends_before_its_call_does_not_start(settings, lease_s):
    settings.WEBHOOK_TIMEOUT_S, settings.WEBHOOK_LEASE_S = 15, lease_s
    with pytest.raises(SystemCheckError, match=r"accounts\.E001"):
        call_command("check")


def test_a_longer_lease_starts(settings):
    settings.WEBHOOK_TIMEOUT_S, settings.WEBHOOK_LEASE_S = 15, 16
    call_command("check")
