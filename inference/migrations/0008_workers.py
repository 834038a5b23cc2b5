"""Workers that report themselves."""

import uuid

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("inference", "0007_metering_and_prices")]

    operations = [
        migrations.CreateModel(
            name="Worker",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="Celery's name, and the process id.",
                        max_length=255,
                        unique=True,
                        verbose_name="name",
                    ),
                ),
                ("host", models.CharField(max_length=255, verbose_name="host")),
                ("pid", models.PositiveIntegerField(verbose_name="process id")),
                (
                    "queues",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64),
                        size=None,
                        verbose_name="queues",
                    ),
                ),
                (
                    "concurrency",
                    models.PositiveSmallIntegerField(default=1, verbose_name="tasks at once"),
                ),
                (
                    "provider",
                    models.CharField(
                        blank=True,
                        help_text=(
                            "As set up for this worker, in the order in which they are tried."
                        ),
                        max_length=255,
                        verbose_name="execution providers",
                    ),
                ),
                (
                    "task",
                    models.CharField(blank=True, max_length=255, verbose_name="running task"),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        help_text="The job or batch of the task.",
                        max_length=64,
                        verbose_name="running for",
                    ),
                ),
                (
                    "task_since",
                    models.DateTimeField(blank=True, null=True, verbose_name="running since"),
                ),
                ("gpu_name", models.CharField(blank=True, max_length=128, verbose_name="GPU")),
                (
                    "gpu_percent",
                    models.PositiveSmallIntegerField(
                        blank=True, null=True, verbose_name="GPU load"
                    ),
                ),
                (
                    "gpu_memory_used_bytes",
                    models.PositiveBigIntegerField(
                        blank=True, null=True, verbose_name="GPU memory used"
                    ),
                ),
                (
                    "gpu_memory_total_bytes",
                    models.PositiveBigIntegerField(
                        blank=True, null=True, verbose_name="GPU memory"
                    ),
                ),
                (
                    "is_draining",
                    models.BooleanField(
                        default=False,
                        help_text=(
                            "It finishes what it has and takes nothing new, until it is told or "
                            "restarted."
                        ),
                        verbose_name="draining",
                    ),
                ),
                (
                    "started_at",
                    models.DateTimeField(db_default=Now(), verbose_name="started at"),
                ),
                (
                    "seen_at",
                    models.DateTimeField(db_default=Now(), verbose_name="last heard of at"),
                ),
                (
                    "stopped_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="stopped at"),
                ),
            ],
            options={
                "verbose_name": "worker",
                "verbose_name_plural": "workers",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("gpu_percent__isnull", True),
                            ("gpu_percent__lte", 100),
                            _connector="OR",
                        ),
                        name="worker_gpu_load_is_percent",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("task", ""), ("task_since__isnull", True)),
                            models.Q(
                                models.Q(("task", ""), _negated=True),
                                ("task_since__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="worker_task_has_a_start",
                    ),
                ],
            },
        ),
    ]
