"""Users."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.types import STAFF_ROLES, USER_REF_PATTERN, Plan, Role


def generate_user_ref() -> str:
    """A fresh public id: ``usr_`` and 22 URL-safe characters (128 random bits)."""
    return f"usr_{secrets.token_urlsafe(16)}"


class UserManager(DjangoUserManager["User"]):
    """Creates users whose staff flags follow from their role."""

    def create_user(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> User:
        """Create and save a user; ``role`` among the extra fields decides the flags."""
        role = Role(extra_fields.setdefault("role", Role.USER))
        extra_fields["is_staff"] = role in STAFF_ROLES
        extra_fields["is_superuser"] = role == Role.ADMIN
        return super().create_user(username, email, password, **extra_fields)

    def create_superuser(
        self,
        username: str,
        email: str | None = None,
        password: str | None = None,
        **extra_fields: Any,
    ) -> User:
        """Create and save an administrator, for ``manage.py createsuperuser``."""
        return self.create_user(username, email, password, **extra_fields | {"role": Role.ADMIN})


class User(AbstractUser):
    """A person or integration that can sign in.

    ``user_ref`` is the id the outside world uses. The staff flags of Django repeat the role, and
    a constraint keeps them from drifting apart.
    """

    user_ref = models.CharField(
        _("user reference"),
        max_length=64,
        unique=True,
        default=generate_user_ref,
        validators=[RegexValidator(rf"^{USER_REF_PATTERN}\Z")],
        help_text=_("The public id that integrators use. Upper and lower case differ."),
    )
    role = models.CharField(_("role"), max_length=16, choices=Role.choices, default=Role.USER)
    plan = models.CharField(
        _("plan"),
        max_length=16,
        choices=Plan.choices,
        default=Plan.FREE,
        db_default=Plan.FREE,
        help_text=_("Recharges can be aimed at a plan; VIP accounts get tokens every day."),
    )
    sandbox_of = models.OneToOneField(
        "self",
        verbose_name=_("sandbox of"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Whose test keys act as this account; empty for accounts of people."),
    )

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.CheckConstraint(
                name="accounts_user_ref_format",
                condition=models.Q(user_ref__regex=f"^{USER_REF_PATTERN}$"),
            ),
            models.CheckConstraint(
                name="accounts_user_flags_follow_role",
                condition=models.Q(role=Role.USER, is_staff=False, is_superuser=False)
                | models.Q(role=Role.OPERATOR, is_staff=True, is_superuser=False)
                | models.Q(role=Role.ADMIN, is_staff=True, is_superuser=True),
            ),
            models.CheckConstraint(
                name="accounts_user_plan_known", condition=models.Q(plan__in=Plan.values)
            ),
            # Whoever holds a test key must not rule over real accounts, nor be given real tokens.
            models.CheckConstraint(
                name="accounts_sandbox_is_plain",
                condition=models.Q(sandbox_of=None) | models.Q(role=Role.USER, plan=Plan.FREE),
            ),
        ]
        indexes = [
            # Most accounts are free, and nothing asks for all of those in the order of their age.
            models.Index(
                name="accounts_user_by_paid_plan",
                fields=["plan", "id"],
                condition=~models.Q(plan=Plan.FREE),
            ),
        ]

    @property
    def is_sandbox(self) -> bool:
        """Whether this is the test account of somebody, whose tokens are worth nothing."""
        return self.sandbox_of_id is not None

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Operators may look at every row of the console; the rest is Django's business."""
        if self.is_active and self.role == Role.OPERATOR and ".view_" in perm:
            return True
        return super().has_perm(perm, obj)

    def has_module_perms(self, app_label: str) -> bool:
        """Operators see every part of the console."""
        if self.is_active and self.role == Role.OPERATOR:
            return True
        return super().has_module_perms(app_label)
