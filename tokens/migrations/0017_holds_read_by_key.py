from django.db import migrations

FUNCTIONS = (
    "tokens_place_hold",
    "tokens_why_no_hold",
    "tokens_resolve_hold",
    "tokens_move_to_grace_lot",
    "tokens_charge_overrun",
    "tokens_refund_hold",
)


class Migration(migrations.Migration):
    """Keep plans that were made while a table was small from reading all of it later.

    A session plans the statements of a function once. One that began on a new installation, or just
    after a small table was analysed, chose to read the whole table, and did so for each charge until
    the next ANALYZE while the table grew.
    """

    dependencies = [
        ("tokens", "0016_plan_cycles"),
    ]

    operations = [
        migrations.RunSQL(
            sql=f"ALTER FUNCTION {function} SET enable_seqscan = off",
            reverse_sql=f"ALTER FUNCTION {function} RESET enable_seqscan",
        )
        for function in FUNCTIONS
    ]
