"""Roles that divide the work of the staff."""

from django.db import migrations, models

_ROLES = [
    ("USER", "User"),
    ("OPERATOR", "Operator"),
    ("ADMIN", "Administrator"),
    ("MAKER", "Recharge maker"),
    ("APPROVER", "Recharge approver"),
    ("FINANCE", "Finance"),
    ("RISK", "Risk analyst"),
    ("SAFETY", "Safety reviewer"),
    ("SUPPORT", "Support"),
    ("PRICING", "Pricing manager"),
    ("SRE", "Site reliability"),
    ("AUDITOR", "Auditor"),
    ("OWNER", "Owner"),
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_freezes")]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="role",
            field=models.CharField(
                choices=_ROLES, default="USER", max_length=16, verbose_name="role"
            ),
        ),
        migrations.RemoveConstraint(model_name="user", name="accounts_user_flags_follow_role"),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("is_staff", False), ("is_superuser", False), ("role", "USER")),
                    models.Q(("is_staff", True), ("is_superuser", True), ("role", "ADMIN")),
                    models.Q(
                        ("is_staff", True),
                        ("is_superuser", False),
                        (
                            "role__in",
                            [role for role, _label in _ROLES if role not in {"USER", "ADMIN"}],
                        ),
                    ),
                    _connector="OR",
                ),
                name="accounts_user_flags_follow_role",
            ),
        ),
    ]
