"""What the platform does without being asked, so that a production runs itself at night."""

from __future__ import annotations

from productions import selectors
from productions.models import ENDED, Production
from productions.services import endings, funding, runs
from productions.types import State


def advance(*, production: Production) -> Production:
    """Do what is due: look for the tokens, make jobs, try again, finish, give the rest back.

    Owns its transactions, and may be called by anybody at any time, also by several at once: each
    step is one decision under the production's lock. One that is not automatic waits for its
    owner to start, retry and finish it; its ready rows become jobs all the same.

    Raises:
        DomainError: what a step is refused with, such as a frozen wallet; the next call goes on.
    """
    production = funding.refresh_funding(production=production)
    if production.state == State.FUNDED and production.is_automatic:
        production = runs.start(production=production, actor_id=None)
    if production.state == State.RUNNING:
        _run(production)
    if production.state in ENDED:
        endings.cancel_jobs(production=production)
        production = endings.settle(production=production)
    production.refresh_from_db()
    return production


def _run(production: Production) -> None:
    while runs.run_wave(production=production):
        pass
    if not production.is_automatic or selectors.unfinished_count(production=production):
        return
    if runs.retry_transient(production=production):
        while runs.run_wave(production=production):
            pass
        return
    endings.finish(production=production, actor_id=None)
