from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"
SETTING = "SET enable_seqscan = off"


def text(name: str) -> str:
    """The statements of a file."""
    return (SQL / f"{name}.sql").read_text()


def earlier(name: str, function: str) -> str:
    """The function as it was, with the setting that migration 0017 gave it."""
    statements = text(name).partition("-- Why a wallet gives no hold")[0]
    return f"{statements}; ALTER FUNCTION {function} {SETTING}"


class Migration(migrations.Migration):

    dependencies = [
        ("tokens", "0017_holds_read_by_key"),
    ]

    operations = [
        migrations.RunSQL(
            sql=text("place_hold_without_event"),
            reverse_sql=earlier("place_hold_in_one_update", "tokens_place_hold"),
        ),
        migrations.RunSQL(
            sql=text("resolve_hold_without_event"),
            reverse_sql=earlier("resolve_hold_in_one_update", "tokens_resolve_hold"),
        ),
        migrations.AlterField(
            model_name="holdevent",
            name="kind",
            field=models.CharField(
                choices=[
                    ("EXTENDED", "Extended"),
                    ("OVERRUN", "Over-run"),
                    ("REFUNDED", "Refunded"),
                    ("LATE_RESULT", "Late result"),
                ],
                max_length=16,
                verbose_name="kind",
            ),
        ),
    ]
