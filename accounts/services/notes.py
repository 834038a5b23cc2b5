"""Notes of staff about accounts."""

from __future__ import annotations

from functools import partial

import structlog
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import selectors
from accounts.errors import RoleRequiredError, UserNotFoundError
from accounts.freeze_errors import NoteInvalidError
from accounts.models import AccountNote, User
from accounts.models.freezes import NOTE_LENGTH_MAX
from accounts.types import ROLE_SCOPES, Scope

log = structlog.get_logger(__name__)


@transaction.atomic
def write_note(*, user_id: int, author_id: int, text: str) -> AccountNote:
    """Keep a note about an account for good. Joins the caller's transaction, or owns one.

    Raises:
        NoteInvalidError: no words, or more than 4000 characters.
        RoleRequiredError: the author's role writes no notes.
        UserNotFoundError: there is no such user.
    """
    words = text.strip()
    if not 1 <= len(words) <= NOTE_LENGTH_MAX:
        raise NoteInvalidError(_("Write 1 to 4000 characters."), param="text")
    role = selectors.active_role(user_id=author_id)
    if role is None or Scope.SUPPORT_WRITE not in ROLE_SCOPES[role]:
        raise RoleRequiredError(_("Your role writes no notes about accounts."))
    if not User.objects.filter(pk=user_id).exists():
        raise UserNotFoundError(_("No such user."))
    note = AccountNote.objects.create(user_id=user_id, author_id=author_id, text=words)
    transaction.on_commit(
        partial(log.info, "accounts.note.written", user_id=user_id, author_id=author_id)
    )
    return note
