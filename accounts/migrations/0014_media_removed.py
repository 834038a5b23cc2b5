from django.db import migrations, models

_EVENTS = [
    ("job.succeeded", "A job has its result"),
    ("job.failed", "A job failed and was refunded"),
    ("job.blocked", "A job was refused by the content check"),
    ("job.canceled", "A job was canceled"),
    ("job.expired", "A job did not begin in time"),
    ("balance.low", "The balance fell below its alert"),
    ("recharge.applied", "A recharge credited tokens"),
    ("recharge.reversed", "Tokens of a recharge were taken back"),
    ("balance.adjusted", "The balance was corrected by hand"),
    ("recharge_batch.finished", "A batch you created has ended"),
    ("grant.applied", "A scheduled grant credited tokens"),
    ("tokens.expired", "Tokens expired"),
    ("wallet.frozen", "The wallet was frozen"),
    ("wallet.unfrozen", "The wallet was unfrozen"),
    ("wallet.closed", "The wallet was closed"),
    ("account.frozen", "The account was frozen"),
    ("account.unfrozen", "The account was unfrozen"),
    ("api_key.issued", "An API key was issued"),
    ("api_key.revoked", "An API key was revoked"),
    ("api_key.exposed", "An API key was sent over plain HTTP"),
    ("media.removed", "An upload or a result was removed after a report"),
    ("webhook.test", "A test that you asked for"),
]


class Migration(migrations.Migration):
    """Name the event of a removal."""

    dependencies = [("accounts", "0013_slowed_until")]

    operations = [
        migrations.AlterField(
            model_name="webhookevent",
            name="type",
            field=models.CharField(choices=_EVENTS, max_length=40, verbose_name="event"),
        ),
    ]
