"""Policies may name the role of recharge approvers."""

import django.contrib.postgres.fields
from django.db import migrations, models

_ROLES = [
    ("OPERATOR", "Operator"),
    ("ADMIN", "Administrator"),
    ("APPROVER", "Recharge approver"),
]
_ROLE = models.CharField(choices=_ROLES, max_length=16)


class Migration(migrations.Migration):
    dependencies = [("tokens", "0014_recharge_drafts")]

    operations = [
        migrations.AlterField(
            model_name="approvalpolicy",
            name="roles",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=_ROLE,
                help_text="Roles; the person who made the batch never may.",
                size=None,
                verbose_name="who may approve",
            ),
        ),
        migrations.AlterField(
            model_name="approvalrequest",
            name="roles",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=_ROLE, blank=True, size=None, verbose_name="who may approve"
            ),
        ),
        migrations.AlterField(
            model_name="approvalvote",
            name="voter_role",
            field=models.CharField(choices=_ROLES, max_length=16, verbose_name="role of the voter"),
        ),
        migrations.RemoveConstraint(
            model_name="approvalpolicy", name="approvalpolicy_roles_are_known"
        ),
        migrations.AddConstraint(
            model_name="approvalpolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("roles__contained_by", [role for role, _label in _ROLES]),
                    ("roles__len__gt", 0),
                ),
                name="approvalpolicy_roles_are_known",
                violation_error_message="Name roles that may approve.",
            ),
        ),
    ]
