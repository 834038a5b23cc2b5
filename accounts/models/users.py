"""Users."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from accounts.console_permissions import role_has_perm, role_sees_app
from accounts.freeze_types import FreezeKind
from accounts.time_zones import check_time_zone
from accounts.types import STAFF_ROLES, USER_REF_PATTERN, LabelProfile, Plan, Role

# In one order, so that the constraint below reads the same in every process.
_STAFF_VALUES = [role.value for role in Role if role in STAFF_ROLES - {Role.ADMIN}]


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
    plan_since = models.DateField(
        _("subscribed since"),
        null=True,
        blank=True,
        help_text=_(
            "Where the periods of the subscription are counted from; the day on which the plan was "
            "last changed, unless another is given."
        ),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default="UTC",
        db_default="UTC",
        validators=[check_time_zone],
        help_text=_("Where the user's days begin and end, by its name in the IANA database."),
    )
    label_profile = models.CharField(
        _("label profile"),
        max_length=8,
        choices=LabelProfile.choices,
        default="",
        db_default="",
        blank=True,
        help_text=_("Which text the results of the account carry; empty: what is usual here."),
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

    frozen_kinds = ArrayField(
        models.CharField(max_length=8, choices=FreezeKind.choices),
        verbose_name=_("frozen"),
        default=list,
        db_default=[],
        blank=True,
        editable=False,
        help_text=_("What the account may not do for now; see its freezes."),
    )
    slowed_until = models.DateTimeField(
        _("slowed down until"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Until then the request limits of the account are halved."),
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
                | models.Q(role=Role.ADMIN, is_staff=True, is_superuser=True)
                | models.Q(role__in=_STAFF_VALUES, is_staff=True, is_superuser=False),
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
            # Staff look people up by how a name begins, whatever its case.
            models.Index(
                OpClass(Upper("username"), name="text_pattern_ops"), name="accounts_user_by_name"
            ),
            models.Index(
                OpClass(Upper("user_ref"), name="text_pattern_ops"), name="accounts_user_by_ref"
            ),
            models.Index(
                OpClass(Upper("email"), name="text_pattern_ops"), name="accounts_user_by_email"
            ),
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
        """The role decides what staff may open in the console; administrators open everything."""
        if self.is_active and self.is_staff and role_has_perm(Role(self.role), perm):
            return True
        return super().has_perm(perm, obj)

    def has_module_perms(self, app_label: str) -> bool:
        """Staff see the parts of the console that hold a page of theirs."""
        if self.is_active and self.is_staff and role_sees_app(Role(self.role), app_label):
            return True
        return super().has_module_perms(app_label)
