"""Indexes by which staff find people by how a name, a reference or an address begins."""

from django.contrib.postgres.indexes import OpClass
from django.db import migrations, models
from django.db.models.functions import Upper


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_roles")]

    operations = [
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                OpClass(Upper("username"), name="text_pattern_ops"), name="accounts_user_by_name"
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                OpClass(Upper("user_ref"), name="text_pattern_ops"), name="accounts_user_by_ref"
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                OpClass(Upper("email"), name="text_pattern_ops"), name="accounts_user_by_email"
            ),
        ),
    ]
