"""Since when an account has its plan, and where its days begin."""

import accounts.time_zones
from django.db import migrations, models

# Whatever changes a plan, the periods of the new one begin on that day; the day itself can be set
# beside it or later, and is not lost by a writer that knows nothing of it.
PLAN_SINCE_SQL = """
CREATE FUNCTION accounts_date_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.plan <> OLD.plan AND NEW.plan_since IS NOT DISTINCT FROM OLD.plan_since THEN
        NEW.plan_since := (now() AT TIME ZONE 'UTC')::date;
    ELSIF NEW.plan_since IS NULL THEN
        NEW.plan_since := OLD.plan_since;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_user_plan_dated BEFORE UPDATE OF plan, plan_since ON accounts_user
    FOR EACH ROW EXECUTE FUNCTION accounts_date_plan();
"""
UNDO_SQL = """
DROP TRIGGER accounts_user_plan_dated ON accounts_user;
DROP FUNCTION accounts_date_plan();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_sandbox")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="plan_since",
            field=models.DateField(
                blank=True,
                help_text="Where the periods of the subscription are counted from; the day on which the plan was last changed, unless another is given.",
                null=True,
                verbose_name="subscribed since",
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="time_zone",
            field=models.CharField(
                db_default="UTC",
                default="UTC",
                help_text="Where the user's days begin and end, by its name in the IANA database.",
                max_length=64,
                validators=[accounts.time_zones.check_time_zone],
                verbose_name="time zone",
            ),
        ),
        migrations.RunSQL(sql=PLAN_SINCE_SQL, reverse_sql=UNDO_SQL),
    ]
