from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """Find uploads and results by their digest: a blocked file is removed wherever it is."""

    dependencies = [("inference", "0010_fruitless_jobs")]

    operations = [
        migrations.AddIndex(
            model_name="mediaasset",
            index=models.Index(name="mediaasset_sha256", fields=["sha256"]),
        ),
        migrations.AddIndex(
            model_name="mediaasset",
            index=models.Index(name="mediaasset_received_sha256", fields=["received_sha256"]),
        ),
        migrations.AddIndex(
            model_name="swapjob",
            index=models.Index(
                name="swapjob_result_sha256",
                fields=["result_sha256"],
                condition=~Q(result_sha256=""),
            ),
        ),
    ]
