"""A run from the first account to the last line."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from django.core.management import call_command
from django.db import connection

from accounts import freeze_selectors
from benchmarks.api import web
from benchmarks.red_team import people
from benchmarks.red_team.attacks import ATTACKS, GIFT, Attack
from benchmarks.red_team.people import Account
from benchmarks.red_team.site import RefusedError, Site, checked, is_stopped, portrait
from benchmarks.reporting import print_table, say
from benchmarks.stand_ins.build import build_stand_in
from facefusion_site.demo.processes import Supervisor
from inference.pipeline.registry.load import load_registry
from risk import selectors as risk_selectors

REQUESTS_MAX: Final = 2000
PATIENCE_S: Final = 150.0
HONEST_THREADS: Final = 3
SWAPPERS: Final = 2
RED_TOML: Final = """
[models.red_1]
task = "safety"
contract = "nsfw_detector"
params = {{ class_rows_from = 4, limit = 0.2 }}
sha256 = "{sha256}"
size_bytes = {size}
vendor = "the red team"
licence = "Apache-2.0"
commercial_ok = true
crop_size_px = 64
colour = "RGB"
outputs_by = "position"
inputs = [{{ name = "input", shape = ["?", 3, "S", "S"] }}]
outputs = [{{ name = "candidates", shape = ["?", "?", "?"] }}]
"""


@dataclass(slots=True)
class Outcome:
    """How one pattern ended."""

    attack: Attack
    accounts: Sequence[Account]
    requests_count: int = 0
    seconds: float = 0.0
    stopped: set[int] = field(default_factory=set)

    @property
    def is_stopped(self) -> bool:
        """Whether every account that took part was refused by a rule's action."""
        return len(self.stopped) == len(self.accounts)


@dataclass(slots=True)
class Honest:
    """What honest accounts met."""

    accounts: Sequence[Account]
    requests_count: int = 0
    refusals: Counter[str] = field(default_factory=Counter)


def run(*, folder: Path, honest_count: int) -> bool:
    """Prepare, play and print; true when all were stopped and nobody honest was frozen."""
    call_command("migrate", interactive=False, verbosity=0)
    _build_models(folder)
    say(f"Registering {honest_count} honest accounts.")
    operator_id = people.make_operator()
    honest = Honest(people.make_accounts(prefix="honest", count=honest_count))
    outcomes = [
        Outcome(
            attack,
            people.make_accounts(
                prefix=f"abuser-{number}",
                count=attack.accounts_count,
                has_password=attack.has_password,
            ),
        )
        for number, attack in enumerate(ATTACKS)
    ]
    people.credit(list(honest.accounts), operator_id=operator_id)
    for outcome in outcomes:
        if not outcome.attack.is_gifted:
            people.credit(list(outcome.accounts), operator_id=operator_id)
    connection.close()
    with _running(folder) as base_url:
        say("Playing.")
        _play(base_url, outcomes, honest, operator_id)
    return _report(outcomes, honest)


def _build_models(folder: Path) -> None:
    models = folder / "models"
    extra = folder / "red.toml"
    extra.write_text(RED_TOML.format(sha256="", size=1))
    call_command("models", "build", dir=models, stdout=io.StringIO())
    data = build_stand_in(load_registry(extra=extra).spec("red_1"))
    extra.write_text(RED_TOML.format(sha256=hashlib.sha256(data).hexdigest(), size=len(data)))
    (models / "red_1.onnx").write_bytes(data)


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    """The web server, one worker and the scheduler."""
    celery = ("celery", "--app=facefusion_site")
    environ = dict(os.environ)
    root = Path(__file__).resolve().parents[2]
    with (
        web.serving(web.PRODUCT, log=folder / "web.log") as port,
        Supervisor(folder=root, log_dir=folder / "logs", environ=environ) as supervisor,
    ):
        queues = "--queues=swaps,money,default,webhooks"
        supervisor.start("worker", *celery, "worker", "--pool=solo", queues, "--loglevel=INFO")
        # Rules look also while the other worker is at a swap.
        supervisor.start(
            "sweeper", *celery, "worker", "--pool=solo", "--queues=default", "--loglevel=INFO"
        )
        schedule = f"--schedule={folder / 'beat'}"
        supervisor.start("beat", *celery, "beat", schedule, "--loglevel=INFO")
        yield f"http://127.0.0.1:{port}"
        supervisor.check()


def _play(base_url: str, outcomes: Sequence[Outcome], honest: Honest, operator_id: int) -> None:
    """All patterns side by side among the honest, but the gift comes last: its batch is long."""
    over = threading.Event()
    site = Site(base_url)
    with ThreadPoolExecutor(max_workers=len(outcomes) + HONEST_THREADS) as pool:
        crowd = [
            pool.submit(_be_honest, site, honest, number, over) for number in range(HONEST_THREADS)
        ]
        at_once = [it for it in outcomes if not it.attack.is_gifted]
        for done in [pool.submit(_attack, Site(base_url), it) for it in at_once]:
            done.result()
        for outcome in outcomes:
            if outcome.attack.is_gifted:
                people.credit(
                    list(outcome.accounts), operator_id=operator_id, tokens=GIFT, is_gift=True
                )
                _attack(Site(base_url), outcome)
        over.set()
        for thread in crowd:
            thread.result()
    honest.requests_count = site.requests_count


def _attack(site: Site, outcome: Outcome) -> None:
    started = time.monotonic()
    answers = outcome.attack.play(site, outcome.accounts)
    for account, answer in itertools.islice(answers, REQUESTS_MAX):
        if is_stopped(answer):
            outcome.stopped.add(account.user_id)
        if outcome.is_stopped or time.monotonic() - started > PATIENCE_S:
            break
    outcome.requests_count = site.requests_count
    outcome.seconds = time.monotonic() - started
    say(f"{outcome.attack.name}: {'stopped' if outcome.is_stopped else 'NOT STOPPED'}")


def _be_honest(site: Site, honest: Honest, number: int, over: threading.Event) -> None:
    """Every account at least once, then again until the attacks are over."""
    mine = honest.accounts[number::HONEST_THREADS]
    for turn in itertools.count():
        for account in mine:
            if turn and over.is_set():
                return
            for answer in visit(site, account, turn, swaps=account in honest.accounts[:SWAPPERS]):
                if answer.is_error and answer.status_code != httpx.codes.NOT_FOUND:
                    honest.refusals[f"{answer.status_code} {answer.json()['code']}"] += 1


def visit(site: Site, account: Account, turn: int, *, swaps: bool) -> Iterator[httpx.Response]:
    """What a customer does in a minute: look around, claim the day's tokens, mistype an address."""
    yield site.send(account, "GET", "/me")
    yield site.send(account, "GET", "/balance")
    if not turn:
        yield site.send(account, "POST", "/daily-claim")
    yield site.send(account, "GET", "/jobs")
    yield site.send(account, "GET", "/jobs/00000000-0000-4000-8000-000000000000")
    if swaps:
        try:
            source_id, target_id = (
                site.upload(account, portrait(name, variant=5 + turn))
                for name in ("grace_hopper.jpg", "astronaut.png")
            )
            answer = site.submit(account, source_id=source_id, target_id=target_id)
            checked(answer)
        except RefusedError as error:
            answer = error.answer
        yield answer


def _report(outcomes: Sequence[Outcome], honest: Honest) -> bool:
    everyone = risk_selectors.decisions_by_user()
    rows = []
    for outcome in outcomes:
        found = {
            decision.rule_name
            for account in outcome.accounts
            for decision in everyone.get(account.user_id, ())
        }
        rows.append(
            [
                outcome.attack.name,
                "yes" if outcome.is_stopped else "NO",
                outcome.requests_count,
                f"{outcome.seconds:.1f}",
                ", ".join(sorted(found)),
            ]
        )
    print_table("Abuse", ["pattern", "stopped", "requests", "seconds", "rules"], rows)
    hit = {it.user_ref: everyone[it.user_id] for it in honest.accounts if it.user_id in everyone}
    frozen = freeze_selectors.frozen_user_ids(
        user_ids=[account.user_id for account in honest.accounts]
    )
    abusive = sum(it.requests_count for it in outcomes)
    print_table(
        "Honest traffic",
        ["accounts", "requests", "refused", "accounts with a decision", "accounts frozen"],
        [
            [
                len(honest.accounts),
                honest.requests_count,
                sum(honest.refusals.values()),
                len(hit),
                len(frozen),
            ]
        ],
    )
    for ref, decisions in hit.items():
        say(f"{ref}: {', '.join(f'{it.rule_name} ({it.action})' for it in decisions)}")
    for refusal, count in honest.refusals.items():
        say(f"honest, refused: {refusal} {count} times")
    for line in _jobs():
        say(line)
    say(f"{honest.requests_count} honest requests to {abusive} abusive ones.")
    swaps_count = _succeeded([it.user_id for it in honest.accounts])
    say(f"{swaps_count} swaps of honest accounts succeeded.")
    # Where nothing works, stopping abuse proves nothing.
    return all(it.is_stopped for it in outcomes) and not frozen and swaps_count > 0


def _succeeded(user_ids: Sequence[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM inference_swapjob j JOIN inference_swapquote q"
            " ON q.id = j.quote_id WHERE j.status = 'SUCCEEDED' AND q.owner_id = ANY(%s)",
            [list(user_ids)],
        )
        return int(cursor.fetchone()[0])


def _jobs() -> list[str]:
    """What became of all jobs, for whoever reads the tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT status, error_code, count(*) FROM inference_swapjob GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return [f"jobs {status.lower()} {code}: {count}" for status, code, count in cursor]
