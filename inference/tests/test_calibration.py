"""Income against measured cost, trials, and what a card would have charged."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.types import Plan
from inference import calibration, handlers, runtime
from inference.calibration import CostRates
from inference.models import JobMeter, SwapJob
from inference.pipeline.errors import NoFaceFoundError
from inference.tests import factories
from tokens import price_selectors
from tokens import services as tokens_services
from tokens.price_types import Load
from tokens.tests import rate_cards
from tokens.tests.approvals import make_staff

User = get_user_model()
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fast_swap")]
RATES = CostRates(
    cpu_second_micros=100, gpu_second_micros=1_000, token_value_micros=10_000, margin_percent=50
)


def span() -> dict[str, dt.datetime]:
    now = timezone.now()
    return {"since": now - dt.timedelta(days=7), "until": now + dt.timedelta(minutes=5)}


def run(user) -> SwapJob:
    job = factories.make_job(owner_id=user.pk)
    handlers.run_swap_job(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == SwapJob.Status.SUCCEEDED
    return job


def measured(job: SwapJob, **values: int) -> None:
    JobMeter.objects.filter(job=job).update(**{"cpu_ms": 0, "gpu_ms": None} | values)


@pytest.fixture
def user():
    return factories.make_user(tokens=100)


def test_income_is_set_against_cost_and_a_price_is_proposed(user):
    rich = factories.make_user(tokens=10)
    User.objects.filter(pk=rich.pk).update(plan=Plan.VIP)
    for gpu_ms in (20_000, 30_000):
        measured(run(user), cpu_ms=10_000, gpu_ms=gpu_ms)
    measured(run(rich), cpu_ms=100)
    free, vip = calibration.calibrate(**span(), rates=RATES)
    assert (free.operation, free.plan, free.size) == ("image_swap", "free", "1mp")
    assert (free.jobs_count, free.units, free.tokens, free.attempts_count) == (2, 2, 2, 2)
    assert (free.cpu_ms, free.gpu_ms) == (20_000, 50_000)
    # 20 s of processor at 100, 50 s of GPU at 1,000.
    assert free.cost_micros == 52_000
    assert free.income_micros == 20_000
    assert free.margin_percent == -160
    # 26,000 a picture, and half as much again, is 39,000: four tokens of 10,000.
    assert free.proposed_unit_tokens == 4
    assert (vip.plan, vip.cost_micros, vip.proposed_unit_tokens) == ("vip", 10, 1)
    assert vip.margin_percent == 99


def test_failed_attempts_cost_and_refunds_bring_nothing(user, monkeypatch):
    measured(run(user), cpu_ms=1_000)
    job = factories.make_job(owner_id=user.pk)

    def refuse(**_):
        raise NoFaceFoundError("source")

    monkeypatch.setattr(runtime, "swap", refuse)
    handlers.run_swap_job(job_id=job.pk)
    measured(job, cpu_ms=3_000)
    (row,) = calibration.calibrate(**span(), rates=RATES)
    assert (row.jobs_count, row.units, row.tokens, row.attempts_count) == (2, 1, 1, 2)
    assert row.cost_micros == 400


def test_sandboxes_and_other_days_are_left_out(user):
    run(user)
    sandbox = factories.make_user(tokens=5)
    run(sandbox)
    User.objects.filter(pk=sandbox.pk).update(sandbox_of=factories.make_user().pk)
    (row,) = calibration.calibrate(**span(), rates=RATES)
    assert row.jobs_count == 1
    past = timezone.now() - dt.timedelta(days=2)
    assert calibration.calibrate(since=past, until=past + dt.timedelta(days=1)) == []


def test_sizes_are_told_apart_and_the_number_of_queries_is_not_that_of_jobs(user):
    jobs = [run(user) for _ in range(3)]
    jobs[0].quote.target.__class__.objects.filter(pk=jobs[0].quote.target_id).update(
        width_px=3_000, height_px=2_000
    )
    with CaptureQueriesContext(connection) as queries:
        rows = calibration.calibrate(**span(), rates=RATES)
    assert [(row.size, row.jobs_count) for row in rows] == [("1mp", 2), ("8mp", 1)]
    assert len(queries) == 2


def test_the_command_prints_and_writes_the_report(user, tmp_path):
    measured(run(user), cpu_ms=10_000)
    out = io.StringIO()
    call_command("calibrate_prices", csv=tmp_path / "report.csv", json=True, stdout=out)
    (row,) = json.loads(out.getvalue())["rows"]
    assert (row["operation"], row["cpu_ms"], row["tokens"]) == ("image_swap", 10_000, 1)
    with (tmp_path / "report.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["cost_micros"], line["proposed_unit_tokens"]) == (str(row["cost_micros"]), "1")
    out = io.StringIO()
    call_command("calibrate_prices", stdout=out)
    assert "image_swap" in out.getvalue()
    for wrong in ({"days": 0}, {"token_value": 0}):
        with pytest.raises(CommandError):
            call_command("calibrate_prices", **wrong)


def test_a_trial_and_the_effect_of_a_card_are_told_to_the_token(user):
    rate_cards.publish()
    manager, checker = make_staff(2, role="PRICING")
    trial = rate_cards.propose(manager, prices=rate_cards.PRICES | {"image_swap": {"default": 5}})
    tokens_services.try_rate_card(card_id=trial.pk, actor_id=manager.pk, percent=100)
    for _ in range(2):
        run(user)
    (tried,) = calibration.trial(**span())
    assert (tried.card_version, tried.quotes_count) == (2, 2)
    assert (tried.tokens, tried.shadow_tokens) == (4, 10)

    full = Load(3_600, 50, 2, utilisation_percent=100)
    start = timezone.now() - dt.timedelta(minutes=2)
    for minute in range(2):
        tokens_services.record_price(load=full, now=start + dt.timedelta(minutes=minute))
    effect = calibration.card_effect(card=price_selectors.card_of(trial), **span())
    (row,) = effect.rows
    assert (row.jobs_count, row.tokens) == (2, 4)
    # Five tokens, three times: the load was full when they were priced.
    assert row.card_tokens == 30
    assert [point.step.multiplier_bp for point in effect.points][-1] == 29_700
    assert checker.pk != manager.pk


def test_a_week_is_replayed_from_the_rows_or_from_a_file_and_nothing_is_written(user, tmp_path):
    card = rate_cards.publish()
    run(user)
    load = tmp_path / "load.csv"
    load.write_text(
        "at,oldest_wait_s,waiting_count,running_count,utilisation_percent\n"
        + "".join(f"2026-03-02T00:0{minute}:00+00:00,3600,50,2,100\n" for minute in range(5))
    )
    out = io.StringIO()
    call_command(
        "simulate_prices",
        csv=load,
        card=card.version,
        out=tmp_path / "minutes.csv",
        svg=tmp_path / "week.svg",
        json=True,
        stdout=out,
    )
    told = json.loads(out.getvalue())
    assert (told["minutes"], told["highest"]) == (5, 3.0)
    with (tmp_path / "minutes.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["multiplier_bp"] for line in lines][-1] == "30000"
    picture = (tmp_path / "week.svg").read_text()
    assert "<title>" in picture
    assert "between 100 % and 300 %" in picture

    out = io.StringIO()
    call_command("simulate_prices", days=1, json=True, stdout=out)
    assert json.loads(out.getvalue())["minutes"] == 1_440
    assert price_selectors.newest_tick() is None
    load.write_text("at,oldest_wait_s\nyesterday,1\n")
    for wrong in ({"csv": load}, {"days": 0}, {"card": 99}, {"csv": tmp_path / "none"}):
        with pytest.raises(CommandError):
            call_command("simulate_prices", **wrong)
