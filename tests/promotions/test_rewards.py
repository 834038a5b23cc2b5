"""Rewards: what was produced in a window, by tiers and caps, once per account."""

from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.types import Role
from facefusion_site.celery import app
from inference.tests import factories as inference_factories
from promotions import services
from promotions.errors import PromotionInvalidError, PromotionStateError
from promotions.types import Window, WindowKind, ended_windows, window_of
from tests.promotions.factories import again, finish, hold_everything_up, make_rule
from tokens.errors import GrantDayError, GrantTotalError
from tokens.models import RechargeBatch
from tokens.tests.commands import run
from tokens.tests.digests import digest_of_all_tables
from tokens.tests.factories import make_user
from tokens.tests.processes import start_command
from tokens.tests.recharges import available
from tokens.tests.threads import in_threads


def noon(days_ago: int) -> dt.datetime:
    today = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
    return today - dt.timedelta(days=days_ago)


YESTERDAY = noon(1).date()


# --- Windows --------------------------------------------------------------------------------------
@given(
    day=st.dates(dt.date(2019, 1, 1), dt.date(2040, 12, 31)),
    kind=st.sampled_from(list(WindowKind)),
    back=st.integers(0, 40),
)
def test_windows_follow_each_other_and_none_is_forgotten(day, kind, back):
    window = window_of(kind, day)
    assert window.first <= day < window.next_first
    assert window_of(kind, window.first) == window
    assert window_of(kind, window.next_first).first == window.next_first
    ended = ended_windows(kind, today=day, back_days=back)
    assert ended[-1].next_first == window.first
    for before, after in pairwise(ended):
        assert before.next_first == after.first
    oldest = day - dt.timedelta(days=back)
    assert all(each.next_first >= oldest for each in ended[:-1])
    assert window_of(kind, ended[0].first - dt.timedelta(days=1)).next_first < oldest


# --- Tiers and caps -------------------------------------------------------------------------------
@pytest.fixture
def job(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return inference_factories.make_job(owner_id=inference_factories.make_user(tokens=5).pk)


def produce(job, count: int, *, days_ago: int = 1, duration_ms: int | None = None):
    """A creator with so many swaps that were finished at noon of a day."""
    creator = make_user(tokens=50)
    for _ in range(count):
        finish(again(job, owner=creator), at=noon(days_ago), duration_ms=duration_ms)
    return creator


@pytest.mark.django_db(transaction=True)
def test_the_highest_tier_that_is_reached_counts_up_to_the_cap(job):
    rule = make_rule(
        tiers=[{"from": 2, "per": 2, "tokens": 3}, {"from": 5, "per": 1, "tokens": 4}], cap=22
    )
    creators = [produce(job, count) for count in (0, 1, 2, 3, 5, 6)]
    unfinished = make_user(tokens=50)
    again(job, owner=unfinished)
    (window,) = services.due_windows(rule=rule)[-1:]
    before = [available(creator) for creator in creators]
    granted = services.reward_creators(rule=rule, window=window)
    assert granted.receipt is not None
    assert granted.receipt.lines_count == 4
    after = [available(creator) for creator in creators]
    gains = [now - then for then, now in zip(before, after, strict=True)]
    assert gains == [0, 0, 3, 3, 20, 22]
    assert services.reward_creators(rule=rule, window=window).receipt is None


@pytest.mark.django_db(transaction=True)
def test_seconds_of_video_are_added_up_and_only_full_units_count(job):
    rule = make_rule(metric="VIDEO_SECONDS", tiers=[{"from": 0, "per": 10, "tokens": 1}])
    creator = produce(job, 3, duration_ms=9_900)
    pictures = produce(job, 2)
    before = available(creator), available(pictures)
    services.reward_creators(rule=rule, window=window_of(WindowKind.DAY, YESTERDAY))
    assert (available(creator), available(pictures)) == (before[0] + 2, before[1])


@pytest.mark.django_db(transaction=True)
def test_output_counts_in_the_window_in_which_it_was_finished(job):
    rule = make_rule()
    creator = make_user(tokens=50)
    midnight = dt.datetime.combine(YESTERDAY, dt.time(), tzinfo=dt.UTC)
    for moment in (
        midnight - dt.timedelta(microseconds=1),
        midnight,
        midnight + dt.timedelta(days=1) - dt.timedelta(microseconds=1),
        midnight + dt.timedelta(days=1),
    ):
        finish(again(job, owner=creator), at=moment)
    before = available(creator)
    services.reward_creators(rule=rule, window=window_of(WindowKind.DAY, YESTERDAY))
    assert available(creator) - before == 2


# --- Once -----------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_hosts_and_processes_at_once_reward_once_and_missed_days_are_made_up_for(job):
    rule = make_rule()
    creators = [produce(job, 2, days_ago=days) for days in (1, 3, 3)]
    before = [available(creator) for creator in creators]
    running = [start_command("reward_creators", "--json") for _ in range(2)]
    window = window_of(WindowKind.DAY, YESTERDAY)
    errors = in_threads(*[lambda: services.reward_creators(rule=rule, window=window)] * 3)
    assert errors == []
    for process in running:
        output, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        assert json.loads(output)["failed"] == 0
    assert [available(creator) for creator in creators] == [tokens + 2 for tokens in before]


@pytest.mark.django_db(transaction=True)
def test_a_policy_holds_the_batch_up_and_the_maker_is_who_drafted_the_rule(job):
    produce(job, 1)
    hold_everything_up()
    maker = make_user(role=Role.MAKER)
    rule = make_rule(maker=maker)
    granted = services.reward_creators(rule=rule, window=window_of(WindowKind.DAY, YESTERDAY))
    assert granted.receipt is not None
    assert granted.receipt.status == "pending_approval"
    assert RechargeBatch.objects.get(pk=granted.receipt.batch_id).actor == maker


@pytest.mark.django_db(transaction=True)
def test_what_is_not_to_be_granted_is_refused(job):
    produce(job, 3)
    window = window_of(WindowKind.DAY, YESTERDAY)
    with pytest.raises(PromotionStateError):
        services.reward_creators(rule=make_rule(is_active=False), window=window)
    rule = make_rule(total_max=2)
    with pytest.raises(GrantTotalError):
        services.reward_creators(rule=rule, window=window)
    with pytest.raises(PromotionStateError):
        services.preview_reward(rule=rule, window=Window(YESTERDAY, noon(-1).date()))
    with pytest.raises(GrantDayError):
        services.due_windows(rule=rule, day=noon(-1).date())
    assert services.due_windows(rule=rule, day=noon(0).date()) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "tiers",
    [
        None,
        [],
        {},
        [{"from": 1}],
        [{"from": 1, "per": 0, "tokens": 1}],
        [{"from": 1, "per": 1, "tokens": True}],
        [{"from": 5, "per": 1, "tokens": 1}, {"from": 5, "per": 1, "tokens": 2}],
    ],
)
def test_tiers_that_cannot_be_read_are_refused(tiers):
    with pytest.raises(PromotionInvalidError) as refusal:
        make_rule(tiers=tiers)
    assert {fault["pointer"] for fault in refusal.value.errors} == {"#/tiers"}


# --- Command and schedule -------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("policy", "rewarded"), [("catch_up", 4), ("report", 1)])
def test_command_and_schedule(job, capsys, settings, policy, rewarded):
    settings.GRANT_MISSED_RUNS = policy
    rule = make_rule(tiers=[{"from": 1, "per": 1, "tokens": 1}])
    creators = [produce(job, 1), produce(job, 3, days_ago=2)]
    before = sum(available(creator) for creator in creators)
    app.loader.import_default_modules()
    for _ in range(2):
        app.tasks["promotions.reward_creators"]()
    assert sum(available(creator) for creator in creators) - before == rewarded
    digests = digest_of_all_tables()
    planned = run(capsys, "reward_creators", dry_run=True, date=noon(2).date())
    assert digest_of_all_tables() == digests
    assert planned["tokens"] == 4 - rewarded
    done = run(capsys, "reward_creators", rule=rule.name)
    assert done["tokens"] == 4 - rewarded
