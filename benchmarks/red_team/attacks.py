"""Ten patterns of abuse. Each yields the answer to one abusive request after the other."""

from __future__ import annotations

import itertools
import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from benchmarks.red_team.people import Account
from benchmarks.red_team.site import RefusedError, Site, checked, portrait, red

Answers = Iterator[tuple[Account, httpx.Response]]
GIFT: Final = 200
_PAUSE_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class Attack:
    """One pattern.

    Attributes:
        name: what is done.
        rules: those that are meant to stop it.
        play: does it for ever, with its accounts.
        accounts_count: how many take part.
        has_password: whether they sign in.
        is_gifted: whether they were given tokens just before.
    """

    name: str
    rules: tuple[str, ...]
    play: Callable[[Site, Sequence[Account]], Answers]
    accounts_count: int = 1
    has_password: bool = False
    is_gifted: bool = False


def flood(site: Site, accounts: Sequence[Account]) -> Answers:
    """As many requests as the line carries, whatever is answered."""
    while True:
        yield accounts[0], site.send(accounts[0], "GET", "/balance")


def guess_codes(site: Site, accounts: Sequence[Account]) -> Answers:
    """Codes of campaigns by chance."""
    while True:
        body = {"code": f"SPRING-{secrets.randbelow(10_000)}"}
        yield accounts[0], site.send(accounts[0], "POST", "/redemptions", json=body)


def probe(site: Site, accounts: Sequence[Account]) -> Answers:
    """Jobs of others by chance."""
    while True:
        yield accounts[0], site.send(accounts[0], "GET", f"/jobs/{uuid.uuid4()}")


def share_key(site: Site, accounts: Sequence[Account]) -> Answers:
    """One key that was leaked, used from everywhere."""
    for number in itertools.count():
        network = f"198.51.{number % 20}.7"
        yield accounts[0], site.send(accounts[0], "GET", "/balance", network=network)


def share_password(site: Site, accounts: Sequence[Account]) -> Answers:
    """One password that was leaked, used from everywhere."""
    (account,) = accounts
    body = {"username": account.username, "password": account.password}
    for number in itertools.count():
        network = f"198.51.{100 + number % 20}.7"
        yield account, site.send(None, "POST", "/auth/token", json=body, network=network)
        time.sleep(_PAUSE_S)


def repeat_face(site: Site, accounts: Sequence[Account]) -> Answers:
    """One stranger's face from ever new files, as fast as the limits let it."""
    (account,) = accounts
    target_id = site.upload(account, portrait("astronaut.png", variant=0))
    for number in itertools.count():
        yield account, _swap(site, account, portrait("grace_hopper.jpg", variant=number), target_id)
        time.sleep(_PAUSE_S)


def spread_face(site: Site, accounts: Sequence[Account]) -> Answers:
    """One stranger's face from ever new files, through several accounts at once."""
    targets = {
        it.user_id: site.upload(it, portrait("grace_hopper.jpg", variant=0)) for it in accounts
    }
    for number in itertools.count():
        account = accounts[number % len(accounts)]
        source = portrait("astronaut.png", variant=number)
        yield account, _swap(site, account, source, targets[account.user_id])
        time.sleep(_PAUSE_S)


def burn(site: Site, accounts: Sequence[Account]) -> Answers:
    """A whole gift spent in one batch, moments after it came; then more."""
    (account,) = accounts
    source_id, target_id = (
        site.upload(account, portrait(name, variant=1))
        for name in ("grace_hopper.jpg", "astronaut.png")
    )
    pair = {
        "operation": "image_swap",
        "source_asset_id": source_id,
        "target_asset_id": target_id,
    }
    yield account, site.send(account, "POST", "/jobs/batches", json={"jobs": [pair] * GIFT})
    while True:
        time.sleep(_PAUSE_S)
        yield account, site.submit(account, source_id=source_id, target_id=target_id)


def take_back(site: Site, accounts: Sequence[Account]) -> Answers:
    """Jobs that are canceled as soon as they are accepted."""
    (account,) = accounts
    source_id, target_id = (
        site.upload(account, portrait("grace_hopper.jpg", variant=number)) for number in (2, 3)
    )
    while True:
        answer = site.submit(account, source_id=source_id, target_id=target_id)
        yield account, answer
        if not answer.is_error:
            yield account, site.send(account, "POST", f"/jobs/{answer.json()['id']}/cancel")
        time.sleep(_PAUSE_S)


def send_blocked(site: Site, accounts: Sequence[Account]) -> Answers:
    """Pictures that are not allowed, one after the other."""
    (account,) = accounts
    target_id = site.upload(account, portrait("astronaut.png", variant=4))
    for number in itertools.count():
        yield account, _swap(site, account, red(variant=number), target_id)
        time.sleep(_PAUSE_S)


ATTACKS: Final = (
    Attack("flood of requests", ("refused-requests",), flood),
    Attack("guessing codes of campaigns", ("refused-requests",), guess_codes),
    Attack("probing for what others have", ("probing",), probe),
    Attack("one API key everywhere", ("key-in-many-places",), share_key),
    Attack("one password everywhere", ("sign-in-many-places",), share_password, has_password=True),
    Attack("one face again and again", ("one-face-again",), repeat_face),
    Attack("one face, many accounts", ("one-face-many-accounts",), spread_face, accounts_count=5),
    Attack("gift burned at once", ("burn-after-grant",), burn, is_gifted=True),
    Attack("jobs that cost nothing", ("refund-abuse",), take_back),
    Attack("blocked content", ("blocked-content",), send_blocked),
)


def _swap(site: Site, account: Account, source: bytes, target_id: str) -> httpx.Response:
    """Upload a source and ask for the swap; a refusal on the way is the answer."""
    try:
        source_id = site.upload(account, source)
        answer = site.submit(account, source_id=source_id, target_id=target_id)
        checked(answer)
    except RefusedError as error:
        return error.answer
    return answer
