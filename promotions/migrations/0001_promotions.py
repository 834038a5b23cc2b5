"""Campaigns and rules of rewards."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

import promotions.models.rewards

PLANS = [("free", "Free"), ("vip", "VIP"), ("enterprise", "Enterprise"), ("custom", "Custom")]
STATES = [("DRAFT", "Draft"), ("ACTIVE", "Active"), ("ENDED", "Ended")]


def person(verbose_name, **options):
    return models.ForeignKey(
        editable=False,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
        verbose_name=verbose_name,
        **options,
    )


def shared_fields():
    """What both models take from their abstract base."""
    return [
        (
            "id",
            models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
            ),
        ),
        (
            "name",
            models.CharField(
                help_text="Lower-case letters, digits and hyphens; it stays for ever.",
                max_length=24,
                unique=True,
                validators=[django.core.validators.RegexValidator("^[a-z0-9][a-z0-9-]{0,23}\\Z")],
                verbose_name="short name",
            ),
        ),
        ("title", models.CharField(max_length=128, verbose_name="title")),
        (
            "state",
            models.CharField(
                choices=STATES, default="DRAFT", editable=False, max_length=8, verbose_name="state"
            ),
        ),
        (
            "valid_days",
            models.PositiveSmallIntegerField(
                default=30,
                help_text="Whole days beside the rest of the first one; 0 means for ever.",
                verbose_name="valid for days",
            ),
        ),
        (
            "created_at",
            models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                editable=False,
                verbose_name="drafted at",
            ),
        ),
        ("activated_by", person("activated by", null=True)),
        ("created_by", person("drafted by")),
    ]


def at_least_one():
    return [django.core.validators.MinValueValidator(1)]


class Migration(migrations.Migration):
    initial = True

    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="Campaign",
            fields=[
                *shared_fields(),
                (
                    "code",
                    models.CharField(
                        blank=True,
                        help_text="6 to 32 capital letters, digits and hyphens; empty: for the whole segment.",
                        max_length=32,
                        null=True,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator("^[A-Z0-9][A-Z0-9-]{5,31}\\Z")
                        ],
                        verbose_name="code",
                    ),
                ),
                (
                    "plan",
                    models.CharField(
                        blank=True,
                        choices=PLANS,
                        default="",
                        max_length=16,
                        verbose_name="only for the plan",
                    ),
                ),
                (
                    "user_ref_prefix",
                    models.CharField(
                        blank=True,
                        default="",
                        max_length=64,
                        verbose_name="only for references that begin with",
                    ),
                ),
                (
                    "joined_after",
                    models.DateTimeField(
                        blank=True, null=True, verbose_name="only for who joined from"
                    ),
                ),
                (
                    "joined_before",
                    models.DateTimeField(
                        blank=True, null=True, verbose_name="only for who joined before"
                    ),
                ),
                (
                    "tokens",
                    models.PositiveIntegerField(
                        validators=at_least_one(), verbose_name="tokens per person"
                    ),
                ),
                (
                    "budget",
                    models.BigIntegerField(
                        validators=at_least_one(), verbose_name="budget in tokens"
                    ),
                ),
                (
                    "granted",
                    models.BigIntegerField(
                        db_default=0, default=0, editable=False, verbose_name="granted"
                    ),
                ),
                ("starts_at", models.DateTimeField(verbose_name="starts at")),
                ("ends_at", models.DateTimeField(verbose_name="ends at")),
            ],
            options={
                "verbose_name": "campaign",
                "verbose_name_plural": "campaigns",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(granted__gte=0, granted__lte=F("budget")),
                        name="campaign_never_over_budget",
                    ),
                    models.CheckConstraint(
                        condition=Q(tokens__gt=0, budget__gt=0), name="campaign_gives_something"
                    ),
                    models.CheckConstraint(
                        condition=Q(ends_at__gt=F("starts_at")), name="campaign_lasts_a_while"
                    ),
                    models.CheckConstraint(
                        condition=~Q(state="ACTIVE") | Q(activated_by__isnull=False),
                        name="campaign_activated_by_somebody",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RewardRule",
            fields=[
                *shared_fields(),
                (
                    "metric",
                    models.CharField(
                        choices=[
                            ("JOBS", "Finished swaps"),
                            ("VIDEO_SECONDS", "Seconds of finished video"),
                        ],
                        max_length=16,
                        verbose_name="output",
                    ),
                ),
                (
                    "window",
                    models.CharField(
                        choices=[("DAY", "Day"), ("WEEK", "Week"), ("MONTH", "Month")],
                        max_length=8,
                        verbose_name="window",
                    ),
                ),
                (
                    "tiers",
                    models.JSONField(
                        help_text="From so many units on, so many tokens for every full “per” units; the highest tier that is reached counts for all of them.",
                        validators=[promotions.models.rewards.check_tiers],
                        verbose_name="tiers",
                    ),
                ),
                (
                    "cap",
                    models.PositiveIntegerField(
                        validators=at_least_one(), verbose_name="most tokens of an account"
                    ),
                ),
                (
                    "total_max",
                    models.BigIntegerField(
                        help_text="A run that would grant more is taken for a mistake.",
                        validators=at_least_one(),
                        verbose_name="most tokens of a window",
                    ),
                ),
                (
                    "starts_on",
                    models.DateField(
                        help_text="Windows that begin on this day or later are rewarded.",
                        verbose_name="from",
                    ),
                ),
                (
                    "ends_on",
                    models.DateField(
                        blank=True,
                        help_text="The last day; empty: for good.",
                        null=True,
                        verbose_name="until",
                    ),
                ),
            ],
            options={
                "verbose_name": "reward rule",
                "verbose_name_plural": "reward rules",
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(cap__gt=0, total_max__gt=0),
                        name="rewardrule_bounds_are_positive",
                    ),
                    models.CheckConstraint(
                        condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
                        name="rewardrule_ends_after_it_starts",
                    ),
                    models.CheckConstraint(
                        condition=~Q(state="ACTIVE") | Q(activated_by__isnull=False),
                        name="rewardrule_activated_by_somebody",
                    ),
                ],
            },
        ),
    ]
