"""Looking into breaks and resolving them."""

from __future__ import annotations

import structlog
from django.utils.translation import gettext_lazy as _

from accounts.types import Scope
from tokens.ledger import breaks
from tokens.models import ReconBreak
from tokens.services.duties import require_duty
from tokens.wallet_errors import ReasonMissingError

log = structlog.get_logger(__name__)
REASON_LENGTH_MAX = 255


def look_into_break(*, break_id: int, actor_id: int, note: str) -> ReconBreak:
    """Make the actor the owner of a break; owns its transaction.

    Args:
        break_id: number of the break.
        actor_id: primary key of who looks into it.
        note: what is known so far; replaces the note before.

    Raises:
        RoleRequiredError: the actor's role does not settle breaks.
        BreakNotFoundError: there is no such break.
        BreakResolvedError: it is resolved.
    """
    require_duty(actor_id=actor_id, scope=Scope.BOOKS_WRITE)
    return breaks.look_into(break_id=break_id, actor_id=actor_id, note=note.strip())


def resolve_break(*, break_id: int, actor_id: int, reason: str) -> ReconBreak:
    """Close a break with an explanation; owns its transaction.

    Raises:
        RoleRequiredError: the actor's role does not settle breaks.
        ReasonMissingError: no reason, or a longer one than 255 characters.
        BreakNotFoundError: there is no such break.
        BreakResolvedError: it is resolved already.
    """
    require_duty(actor_id=actor_id, scope=Scope.BOOKS_WRITE)
    words = reason.strip()
    if not 0 < len(words) <= REASON_LENGTH_MAX:
        raise ReasonMissingError(_("Say what it was, in 1 to 255 characters."), param="reason")
    resolved = breaks.resolve(break_id=break_id, actor_id=actor_id, reason=words)
    log.info("tokens.break.resolved", check=resolved.check_name, actor_id=actor_id)
    return resolved
