import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("inference", "0011_found_by_digest")]

    operations = [
        migrations.CreateModel(
            name="ReleasedFile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sha256", models.CharField(max_length=64, unique=True, verbose_name="SHA-256")),
                ("produce_id", models.UUIDField(unique=True, verbose_name="id in the labels")),
                ("content_type", models.CharField(max_length=32, verbose_name="content type")),
                ("made_on", models.DateField(verbose_name="day")),
                (
                    "labels",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=16), verbose_name="labels"
                    ),
                ),
            ],
            options={
                "verbose_name": "released file",
                "verbose_name_plural": "released files",
            },
        ),
    ]
