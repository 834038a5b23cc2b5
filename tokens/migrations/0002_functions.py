"""Functions and triggers of the ledger; their text stands beside, one file each."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"
FUNCTIONS = {
    "immutable": "tokens_refuse_change() CASCADE",
    "place_hold": "tokens_place_hold(uuid, bigint, bigint, text, timestamptz, text)",
    "resolve_hold": (
        "tokens_resolve_hold(uuid, bigint, text, timestamptz, interval),"
        " tokens_move_to_grace_lot(uuid, bigint, timestamptz, interval)"
    ),
    "charge_overrun": "tokens_charge_overrun(uuid, bigint)",
    "refund_hold": "tokens_refund_hold(uuid, bigint, interval, text)",
}


class Migration(migrations.Migration):
    dependencies = [("tokens", "0001_ledger")]

    operations = [
        migrations.RunSQL(
            sql=(SQL / f"{name}.sql").read_text(), reverse_sql=f"DROP FUNCTION {signature}"
        )
        for name, signature in FUNCTIONS.items()
    ]
