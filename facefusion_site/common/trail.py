"""What the console changes is kept in the audit trail, with the state before and after.

Every screen is built on ``unfold.ModelAdmin``, which has ``AuditedMixin``: Django tells it of each
row that it adds, changes or deletes, and actions tell it of theirs by ``log_change``, as they tell
the history of the row. A screen whose service writes the event itself says nothing here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from facefusion_site.common import audit

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.contrib.admin.models import LogEntry

    Base = ModelAdmin[Any]
else:
    Base = object

# That one of these changed is told; what it is, or was, is not.
SECRET_FIELDS: Final = frozenset(
    {
        "code_hash",
        "credential_hash",
        "current_jti",
        "key_hash",
        "password",
        "previous_secret",
        "secret",
    }
)
_REMEMBERED: Final = "_state_when_read"
_SUBJECT_LENGTH_MAX: Final = 128


def state_of(row: Model) -> dict[str, Any]:
    """The columns of a row as JSON; of secrets only what tells one from another."""
    values = {
        field.attname: field.value_from_object(row)
        for field in row._meta.concrete_fields  # noqa: SLF001  # Django documents it
    }
    for name in SECRET_FIELDS & values.keys():
        digest = hashlib.sha256(str(values[name]).encode()).hexdigest()
        values[name] = f"sha256:{digest[:16]}"
    plain: dict[str, Any] = json.loads(json.dumps(values, cls=DjangoJSONEncoder, default=str))
    return plain


def record_row(
    *,
    actor_id: int | None,
    row: Model,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Record that a row was added (no ``before``), changed, or deleted (no ``after``).

    Of a change only the columns that differ are kept; where none does, nothing is recorded. Joins
    the caller's transaction, or owns one.
    """
    verb = "changed"
    if before is None or after is None:
        verb = "created" if before is None else "deleted"
    else:
        changed = [name for name in after if before.get(name) != after[name]]
        if not changed:
            return
        before = {name: before.get(name) for name in changed}
        after = {name: after[name] for name in changed}
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(row).__name__).lower()
    with transaction.atomic():
        audit.record(
            actor_id=actor_id,
            action=f"{kind}.{verb}",
            subject=f"{kind}:{getattr(row, 'user_ref', row.pk)}"[:_SUBJECT_LENGTH_MAX],
            before=before,
            after=after,
        )


class AuditedMixin(Base):
    """Of a ``ModelAdmin``: tells the audit trail whatever Django's history of rows is told."""

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Model | None:
        """Remember the state before the page's form changes the row in place."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            setattr(row, _REMEMBERED, state_of(row))
        return row

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        """Record a new row."""
        record_row(actor_id=request.user.pk, row=obj, before=None, after=state_of(_fresh(obj)))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        """Record a changed row; ``obj`` is what the page or the action has read before."""
        before = getattr(obj, _REMEMBERED, None) or state_of(obj)
        record_row(actor_id=request.user.pk, row=obj, before=before, after=state_of(_fresh(obj)))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Record rows that are about to be deleted."""
        for row in queryset:
            record_row(actor_id=request.user.pk, row=row, before=state_of(row), after=None)
        return super().log_deletions(request, queryset)


def _fresh(row: Model) -> Model:
    """The row as the database has it now."""
    return type(row)._base_manager.get(pk=row.pk)  # noqa: SLF001  # Django documents it
