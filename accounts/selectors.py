"""Read queries on users and keys."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Collection, Iterator
from typing import Any, Final

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, TruncDate
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import role_may
from accounts.errors import ApiKeyNotFoundError, UserNotFoundError
from accounts.models import ApiKey, User
from accounts.types import USER_REF_PATTERN, Plan, PlanStanding, Role, Scope, Segment
from facefusion_site.common.columns import Columns

_KEY: Final = Columns(ApiKey, alias="key")
_USER: Final = Columns(User, alias="member")
_OWNER: Final = Columns(User, alias="owner")
_KEY_SQL: Final = f"""
SELECT {_KEY.sql}, {_USER.sql}, {_OWNER.sql}
  FROM accounts_apikey key
  JOIN accounts_user member ON member.id = key.user_id
  LEFT JOIN accounts_user owner ON owner.id = member.sandbox_of_id
 WHERE key.key_hash = %s
"""  # noqa: S608  # made of names of columns


def user_ids_by_ref(*, refs: Collection[str]) -> dict[str, int]:
    """Primary keys of the active users among ``refs``; unknown ones are absent. One query."""
    possible = {ref for ref in refs if re.fullmatch(USER_REF_PATTERN, ref)}
    rows = User.objects.filter(user_ref__in=possible, is_active=True)
    return dict(rows.values_list("user_ref", "pk"))


def user_refs(*, ids: Collection[int]) -> dict[int, str]:
    """Public references of users, active or not. One query."""
    return dict(User.objects.filter(pk__in=set(ids)).values_list("pk", "user_ref"))


def active_role(*, user_id: int) -> Role | None:
    """The user's role; None when there is no such user or it is switched off."""
    role = User.objects.filter(pk=user_id, is_active=True).values_list("role", flat=True).first()
    return None if role is None else Role(role)


def active_may(*, user_id: int, scopes: Collection[Scope]) -> bool:
    """Whether the user is active and has one of these scopes by its role. One query."""
    role = active_role(user_id=user_id)
    return role is not None and role_may(role, *scopes)


def plan_of(*, user_id: int) -> str:
    """What the user has subscribed to.

    Raises:
        User.DoesNotExist: there is no such user.
    """
    plan: str = User.objects.values_list("plan", flat=True).get(pk=user_id)
    return plan


def plan_standing(*, user_id: int) -> PlanStanding:
    """What grants by plan go by.

    Raises:
        UserNotFoundError: there is no such user, or it is switched off.
    """
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise UserNotFoundError(_("No such user."))
    return PlanStanding(
        user_ref=user.user_ref,
        plan=Plan(user.plan),
        time_zone=user.time_zone,
        is_sandbox=user.is_sandbox,
    )


def active_users_by_role(*, roles: Collection[str]) -> dict[str, set[int]]:
    """Primary keys of the active users who have one of these roles. One query."""
    rows = User.objects.filter(role__in=set(roles), is_active=True).values_list("role", "pk")
    found: dict[str, set[int]] = {role: set() for role in roles}
    for role, pk in rows:
        found[role].add(pk)
    return found


def user_ids_beginning(*, text: str, limit: int) -> list[int]:
    """Users whose user_ref, name or address begins so, in any case; by their indexes."""
    begins = (
        Q(user_ref__istartswith=text) | Q(username__istartswith=text) | Q(email__istartswith=text)
    )
    return list(User.objects.filter(begins).order_by().values_list("pk", flat=True)[:limit])


def user_by_ref(*, user_ref: str) -> User:
    """The user with this public reference, active or not.

    Raises:
        UserNotFoundError: there is none.
    """
    # Text that can be nobody's reference may hold characters PostgreSQL refuses to compare.
    is_possible = re.fullmatch(USER_REF_PATTERN, user_ref) is not None
    user = User.objects.filter(user_ref=user_ref).first() if is_possible else None
    if user is None:
        raise UserNotFoundError(_("No user has this user_ref."), param="user_ref")
    return user


def api_keys(*, user_id: int) -> list[ApiKey]:
    """The user's keys, live and test, newest first, revoked ones included."""
    mine = ApiKey.objects.filter(keys_of(user_id)).select_related("user")
    return list(mine.order_by("-created_at", "pk"))


def keys_of(user_id: int) -> Q:
    """The keys that a user manages: its own, and those of its sandbox."""
    return Q(user_id=user_id) | Q(user__sandbox_of_id=user_id)


def api_key(*, key_id: uuid.UUID, user_id: int) -> ApiKey:
    """One key of the user.

    Raises:
        ApiKeyNotFoundError: the user has no such key.
    """
    key = ApiKey.objects.filter(keys_of(user_id), pk=key_id).select_related("user").first()
    if key is None:
        raise ApiKeyNotFoundError(_("You have no API key with this id."))
    return key


def api_key_by_hash(*, key_hash: str) -> ApiKey | None:
    """The key with this hash; None when there is none.

    One query, which brings its user and, of a sandbox, the account that it belongs to.
    """
    with connection.cursor() as cursor:
        cursor.execute(_KEY_SQL, [key_hash])
        found = cursor.fetchone()
    if found is None:
        return None
    user_at, owner_at = _KEY.count, _KEY.count + _USER.count
    key = _KEY.load(found[:user_at])
    key.user = _USER.load(found[user_at:owner_at])
    if key.user.sandbox_of_id is not None:
        key.user.sandbox_of = _OWNER.load(found[owner_at:])
    return key


def is_sandbox(*, user_id: int) -> bool:
    """Whether this account is somebody's sandbox."""
    return User.objects.filter(pk=user_id, sandbox_of__isnull=False).exists()


def active_users_sql(*, are_sandboxes: bool = False) -> tuple[str, tuple[Any, ...]]:
    """A SELECT of the columns ``user_ref`` and ``id`` of every active user, and its parameters.

    For set-based statements that join thousands of references at once. Either accounts of people
    or sandboxes, never both: what credits the ones must not find the others.
    """
    users = User.objects.filter(is_active=True, sandbox_of__isnull=not are_sandboxes)
    rows = users.order_by().values("user_ref", "id")
    sql, parameters = rows.query.sql_with_params()
    return sql, tuple(parameters)


def every_user_sql() -> tuple[str, tuple[Any, ...]]:
    """Like ``active_users_sql``, with the accounts that are switched off."""
    sql, parameters = User.objects.order_by().values("user_ref", "id").query.sql_with_params()
    return sql, tuple(parameters)


def plan_users_sql(*, plan: str, joined_before: dt.datetime) -> tuple[str, tuple[Any, ...]]:
    """Like ``active_users_sql``, for the accounts of one plan that joined before a moment."""
    rows = User.objects.filter(
        is_active=True, sandbox_of=None, plan=plan, date_joined__lt=joined_before
    )
    sql, parameters = rows.order_by().values("user_ref", "id").query.sql_with_params()
    return sql, tuple(parameters)


def subscribers_sql(*, plan: str, started_by: dt.date) -> tuple[str, tuple[Any, ...]]:
    """Like ``active_users_sql``, for accounts whose plan began on that day or before.

    Returns:
        A SELECT of the columns ``user_ref``, ``id`` and ``anchor``, the first day of the plan; for
        accounts that never changed it, the day of UTC on which they joined.
    """
    anchor = Coalesce(F("plan_since"), TruncDate("date_joined", tzinfo=dt.UTC))
    rows = User.objects.filter(is_active=True, sandbox_of=None, plan=plan).annotate(anchor=anchor)
    chosen = rows.filter(anchor__lte=started_by).order_by().values("user_ref", "id", "anchor")
    sql, parameters = chosen.query.sql_with_params()
    return sql, tuple(parameters)


def segment_sql(*, segment: Segment) -> tuple[str, tuple[Any, ...]]:
    """Like ``active_users_sql``, for the accounts of a segment."""
    rows = _segment_users(segment).order_by().values("user_ref", "id")
    sql, parameters = rows.query.sql_with_params()
    return sql, tuple(parameters)


def is_in_segment(*, segment: Segment) -> bool:
    """Whether a segment has any account; with a ``user_id``, whether that one is in it."""
    return _segment_users(segment).exists()


def _segment_users(segment: Segment) -> QuerySet[User]:
    users = User.objects.filter(is_active=True, sandbox_of=None)
    conditions = {
        "plan": segment.plan,
        "user_ref__startswith": segment.user_ref_prefix,
        "date_joined__gte": segment.joined_after,
        "date_joined__lt": segment.joined_before,
        "pk": segment.user_id,
    }
    return users.filter(**{name: value for name, value in conditions.items() if value is not None})


def principal(*, name: str) -> tuple[int, Role]:
    """Primary key and role of the active account with this user name or public reference.

    Raises:
        UserNotFoundError: there is none, or the name means two of them.
    """
    rows = User.objects.filter(Q(username=name) | Q(user_ref=name), is_active=True)
    found = list(rows.values_list("pk", "role")[:2])
    if len(found) != 1:
        raise UserNotFoundError(_("No one active user has this name."), param="actor")
    return found[0][0], Role(found[0][1])


def active_user_refs(
    *,
    role: str | None = None,
    plan: str | None = None,
    prefix: str | None = None,
    refs: Collection[str] | None = None,
    joined_after: dt.datetime | None = None,
) -> Iterator[str]:
    """References of the active users that meet every condition given, oldest account first.

    Sandboxes are left out. Streams: needs an open transaction and holds a few thousand references
    at most.
    """
    users = User.objects.filter(is_active=True, sandbox_of=None)
    if role is not None:
        users = users.filter(role=role)
    if plan is not None:
        users = users.filter(plan=plan)
    if prefix is not None:
        users = users.filter(user_ref__startswith=prefix)
    if refs is not None:
        users = users.filter(
            user_ref__in={ref for ref in refs if re.fullmatch(USER_REF_PATTERN, ref)}
        )
    if joined_after is not None:
        users = users.filter(date_joined__gt=joined_after)
    return users.order_by("pk").values_list("user_ref", flat=True).iterator(chunk_size=2_000)
