"""Sandboxes: the accounts that test keys act as."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_key_protection"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="sandbox_of",
            field=models.OneToOneField(
                blank=True,
                editable=False,
                help_text="Whose test keys act as this account; empty for accounts of people.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="sandbox of",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("sandbox_of", None),
                    models.Q(("plan", "free"), ("role", "USER")),
                    _connector="OR",
                ),
                name="accounts_sandbox_is_plain",
            ),
        ),
    ]
