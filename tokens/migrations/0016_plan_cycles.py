"""What a period of a subscription leaves unused, and the batches of a rule by its name."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"
UNDO_SQL = "DROP FUNCTION tokens_left_over(text, bigint, date, timestamptz)"


class Migration(migrations.Migration):
    dependencies = [("tokens", "0015_approver_role")]

    operations = [
        migrations.AddIndex(
            model_name="rechargebatch",
            index=models.Index(
                condition=models.Q(("source", "SCHEDULE")),
                fields=["key_scope"],
                name="rechargebatch_by_rule",
            ),
        ),
        migrations.RunSQL(sql=(SQL / "left_over.sql").read_text(), reverse_sql=UNDO_SQL),
    ]
