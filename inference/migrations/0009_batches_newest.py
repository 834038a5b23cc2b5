"""The console lists batches of jobs, newest first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("inference", "0008_workers")]

    operations = [
        migrations.AddIndex(
            model_name="jobbatch",
            index=models.Index(fields=["-created_at", "-id"], name="jobbatch_newest"),
        ),
    ]
