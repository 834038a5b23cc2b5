"""Web server, worker, broker and database are killed again and again while swaps are ordered.

EXACTLY_ONCE_JOBS sets the number of jobs (100 by default), EXACTLY_ONCE_SEED repeats the victims
and moments of an earlier run.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pytest

from inference.tests import factories, real_engine
from tests.crash.processes import run
from tests.crash.test_server_crashes import quick_folder
from tests.exactly_once import works
from tests.exactly_once.customer import Customer
from tests.exactly_once.site import Site

JOBS = int(os.environ.get("EXACTLY_ONCE_JOBS", "100"))
SEED = int(os.environ.get("EXACTLY_ONCE_SEED") or random.SystemRandom().randrange(2**32))
KILLS_EACH = 3
THREADS = 4
# One in so many target pictures shows nobody, so its job fails and costs nothing.
FACELESS_EVERY = 5
JITTER_S = 0.3
END_WAIT_S = 180
# A running job that a worker or the database is killed under.
RUNNING_SQL = "SELECT count(*) FROM inference_swapjob WHERE status = 'RUNNING'"
OPEN_SQL = "SELECT count(*) FROM inference_swapjob WHERE finished_at IS NULL"


@dataclass
class Orders:
    """What the customer was told: the job of every key that it sent."""

    jobs: dict[str, uuid.UUID] = field(default_factory=dict)
    faceless: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, key: str, job_id: uuid.UUID, *, is_faceless: bool) -> None:
        """A key that was answered."""
        with self.lock:
            self.jobs[key] = job_id
            if is_faceless:
                self.faceless.add(key)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = Path(tempfile.mkdtemp(prefix="site-", dir=quick_folder()))
    # The servers' user must be able to pass through.
    home.chmod(0o711)
    models = real_engine.build_models(tmp_path_factory.mktemp("models"))
    site = Site(home, models=models)
    try:
        site.start()
        yield site
    finally:
        site.stop()
        shutil.rmtree(home)


def count(site: Site, query: str) -> int:
    """One number out of the site's database."""
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


def wait_for(site: Site, query: str, *, at_least: int = 0, at_most: int = 10**9) -> bool:
    """Whether the number comes into the bounds in time."""
    deadline = time.monotonic() + END_WAIT_S
    while not at_least <= count(site, query) <= at_most:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def order(customer: Customer, orders: Orders, pictures: dict[str, str], numbers: range) -> None:
    """Have swaps made, each when the one before has ended."""
    for number in numbers:
        key = f"order-{number}"
        is_faceless = number % FACELESS_EVERY == 0
        target = pictures["faceless" if is_faceless else "target"]
        job_id = customer.submit(customer.quote(pictures["source"], target), key)
        orders.note(key, job_id, is_faceless=is_faceless)
        customer.await_end(job_id)


def kill_all_the_time(site: Site, orders: Orders, moments: random.Random) -> Counter[str]:
    """Every part several times, in any order, each time when some more orders were taken."""
    victims = list(site.kills) * KILLS_EACH
    moments.shuffle(victims)
    killed: Counter[str] = Counter()
    for number, victim in enumerate(victims):
        while len(orders.jobs) < JOBS * number // len(victims):
            time.sleep(0.02)
        if victim in {"worker", "database"}:
            assert wait_for(site, RUNNING_SQL, at_least=1), site.logs()
        jitter_s = moments.uniform(0, JITTER_S)
        sys.stdout.write(
            f"EXACTLY_ONCE_SEED={SEED}: {victim} after {len(orders.jobs)} orders"
            f" and {jitter_s:.3f} s\n"
        )
        time.sleep(jitter_s)
        site.kills[victim]()
        killed[victim] += 1
    return killed


@pytest.mark.timeout(900)
def test_every_job_ends_once_whatever_is_killed(site: Site):
    moments = random.Random(SEED)  # noqa: S311  # chooses moments, hides nothing
    account = run(partial(works.register, tokens=2 * JOBS), place=site.place).value
    customer = Customer(url=site.url, key=account.key)
    pictures = {
        "source": customer.upload(real_engine.enlarged("astronaut.png", width_px=200)),
        "target": customer.upload(real_engine.enlarged("grace_hopper.jpg", width_px=240)),
        "faceless": customer.upload(factories.picture(width=120, height=80)),
    }
    orders = Orders()
    with ThreadPoolExecutor(THREADS) as threads:
        working = [
            threads.submit(order, customer, orders, pictures, range(first, JOBS, THREADS))
            for first in range(THREADS)
        ]
        killed = kill_all_the_time(site, orders, moments)
        for thread in working:
            thread.result(timeout=END_WAIT_S)
    assert set(killed.values()) == {KILLS_EACH}
    assert wait_for(site, OPEN_SQL, at_most=0), site.logs()

    books = run(partial(works.books, account.owner_id), place=site.place).value
    sys.stdout.write(
        f"{customer.repeats} requests were repeated; attempts by job: "
        f"{sorted(Counter(job.attempt for job in books.jobs).items())}\n"
    )
    assert_each_order_is_one_job(books, orders)
    assert_paid_once(books, orders)
    assert_results_are_there(customer, books)
    assert max(job.attempt for job in books.jobs) > 1, "nothing was interrupted"


def assert_each_order_is_one_job(books: works.Books, orders: Orders) -> None:
    """No order is lost, none was made twice, and the customer was told the truth."""
    assert len(orders.jobs) == JOBS
    assert sorted(orders.jobs.items()) == sorted((job.key, job.job_id) for job in books.jobs)


def assert_paid_once(books: works.Books, orders: Orders) -> None:
    """Each hold ended exactly once, as the job did."""
    for job in books.jobs:
        ended = ("FAILED", "release") if job.key in orders.faceless else ("SUCCEEDED", "settle")
        assert (job.status, job.transfers) == (
            ended[0],
            (("hold", job.quoted), (ended[1], job.quoted)),
        ), job
    paid = sum(job.quoted for job in books.jobs if job.status == "SUCCEEDED")
    assert (books.available, books.held) == (2 * JOBS - paid, 0)
    assert books.violations == ()


def assert_results_are_there(customer: Customer, books: works.Books) -> None:
    """What was paid for can be downloaded."""
    for job in books.jobs:
        if job.status == "SUCCEEDED":
            assert customer.result(job.job_id)


@pytest.mark.timeout(300)
def test_fifty_equal_requests_at_once_make_one_job_and_one_hold(site: Site):
    account = run(partial(works.register, tokens=10), place=site.place).value
    customer = Customer(url=site.url, key=account.key)
    source, target = (customer.upload(factories.picture(seed=seed)) for seed in (1, 2))
    quote_id = customer.quote(source, target)

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: customer.submit(quote_id, "the same"), range(50)))

    assert len(set(answers)) == 1
    assert wait_for(site, OPEN_SQL, at_most=0), site.logs()
    (job,) = run(partial(works.books, account.owner_id), place=site.place).value.jobs
    assert job.job_id == answers[0]
    assert [kind for kind, _tokens in job.transfers] == ["hold", "release"]
