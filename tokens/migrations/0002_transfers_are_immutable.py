"""Refuse to change or delete a transfer, whoever asks: a correction is another transfer."""

from django.db import migrations

REFUSE_SQL = """
CREATE FUNCTION tokens_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are immutable: correct them with a new transfer', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER tokens_transfer_immutable
    BEFORE UPDATE OR DELETE ON tokens_transfer
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
CREATE TRIGGER tokens_rechargeline_immutable
    BEFORE UPDATE OR DELETE ON tokens_rechargeline
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change();
"""
ALLOW_SQL = """
DROP TRIGGER tokens_rechargeline_immutable ON tokens_rechargeline;
DROP TRIGGER tokens_transfer_immutable ON tokens_transfer;
DROP FUNCTION tokens_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("tokens", "0001_ledger")]

    operations = [migrations.RunSQL(sql=REFUSE_SQL, reverse_sql=ALLOW_SQL)]
