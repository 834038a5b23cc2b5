"""The patterns of the red team that need no worker, against a live server among honest visits."""

from __future__ import annotations

import itertools

import pytest

from accounts.freeze_selectors import frozen_user_ids
from benchmarks.red_team import attacks, people, session
from benchmarks.red_team.attacks import ATTACKS, GIFT
from benchmarks.red_team.site import Site, is_stopped
from risk import selectors, services
from risk.types import LIVE_SIGNALS

pytestmark = pytest.mark.django_db(transaction=True)
HONEST = 3
# Those that are found by what workers see.
_BY_WORKERS = {"one-face-again", "one-face-many-accounts", "blocked-content"}


def test_abuse_is_stopped_and_honest_accounts_are_not(live_server, rules, settings, monkeypatch):
    settings.TRUSTED_PROXY_HOPS = 1
    settings.LOGIN_RATE = "1000/m"
    monkeypatch.setattr(attacks, "_PAUSE_S", 0.0)
    operator_id = people.make_operator()
    honest = people.make_accounts(prefix="honest", count=HONEST)
    people.credit(honest, operator_id=operator_id)
    site = Site(live_server.url)
    played = [it for it in ATTACKS if not _BY_WORKERS.intersection(it.rules)]
    assert len(played) == 7
    for number, attack in enumerate(played):
        abusers = people.make_accounts(
            prefix=f"abuser-{number}", count=1, has_password=attack.has_password
        )
        people.credit(abusers, operator_id=operator_id, tokens=GIFT, is_gift=attack.is_gifted)
        # So that a flood need not be long.
        settings.API_RATE = "20/m" if attack.play is attacks.flood else "600/m"
        answers = attack.play(site, abusers)
        for account in honest:
            list(session.visit(site, account, number, swaps=False))
        is_live = all(rules[name].signal in LIVE_SIGNALS for name in attack.rules)
        for _account, answer in itertools.islice(answers, 200):
            if is_stopped(answer):
                break
            if not is_live:
                services.sweep()
        else:
            pytest.fail(f"{attack.name} went on")
        found = {it.rule_name for it in selectors.decisions_by_user()[abusers[0].user_id]}
        assert found >= set(attack.rules)
    everyone = {it.user_id for it in honest}
    assert frozen_user_ids(user_ids=everyone) == set()
    assert everyone.isdisjoint(selectors.decisions_by_user())
