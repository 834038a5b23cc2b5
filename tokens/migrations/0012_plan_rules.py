"""Rules of plans, and grants of any rule with the amount of each account."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

IMMUTABLE_SQL = """
CREATE TRIGGER tokens_planrule_immutable
    BEFORE UPDATE OR DELETE ON tokens_planrule
    FOR EACH ROW EXECUTE FUNCTION tokens_refuse_change()
"""
UNDO_SQL = "DROP TRIGGER tokens_planrule_immutable ON tokens_planrule"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_plan_since"),
        ("tokens", "0011_finance_reports"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="scheduledgrant",
            name="rule",
            field=models.CharField(max_length=64, verbose_name="rule"),
        ),
        migrations.AlterField(
            model_name="scheduledgrant",
            name="period",
            field=models.DateField(
                help_text="In the time zone of the rule.", verbose_name="first day of the period"
            ),
        ),
        migrations.AddField(
            model_name="scheduledgrant",
            name="amount",
            field=models.BigIntegerField(
                help_text="Empty for claims older than this column.",
                null=True,
                verbose_name="tokens",
            ),
        ),
        migrations.AddField(
            model_name="scheduledgrant",
            name="expires_at",
            field=models.DateTimeField(null=True, verbose_name="expires at"),
        ),
        migrations.AddConstraint(
            model_name="scheduledgrant",
            constraint=models.CheckConstraint(
                condition=Q(("amount__isnull", True), ("amount__gt", 0), _connector="OR"),
                name="scheduledgrant_gives_something",
            ),
        ),
        migrations.CreateModel(
            name="PlanRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "plan",
                    models.CharField(
                        choices=[
                            ("free", "Free"),
                            ("vip", "VIP"),
                            ("enterprise", "Enterprise"),
                            ("custom", "Custom"),
                        ],
                        max_length=16,
                        verbose_name="plan",
                    ),
                ),
                (
                    "cadence",
                    models.CharField(
                        choices=[
                            ("CLAIM", "Once a day, for those who ask"),
                            ("DAILY", "Every day"),
                            ("CYCLE", "Every period of the subscription"),
                        ],
                        max_length=8,
                        verbose_name="how",
                    ),
                ),
                (
                    "tokens",
                    models.PositiveIntegerField(
                        help_text="For each account and period; 0 switches the grant off.",
                        verbose_name="tokens",
                    ),
                ),
                (
                    "effective_from",
                    models.DateField(
                        help_text="In the time zone of grants; not before today.",
                        verbose_name="in force from",
                    ),
                ),
                (
                    "total_max",
                    models.BigIntegerField(
                        help_text="A run that would grant more in one day is taken for a mistake.",
                        verbose_name="most tokens of a day",
                    ),
                ),
                (
                    "valid_days",
                    models.PositiveSmallIntegerField(
                        default=30,
                        help_text="Of daily tokens: whole days beside the rest of the first one; 0 means for ever.",
                        verbose_name="valid for days",
                    ),
                ),
                (
                    "cycle_months",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "1"), (3, "3"), (12, "12")],
                        default=1,
                        verbose_name="months of a period",
                    ),
                ),
                (
                    "rollover",
                    models.CharField(
                        choices=[
                            ("NONE", "Expires with the period"),
                            ("CAPPED", "Is given again, up to a limit"),
                            ("FULL", "Stays"),
                        ],
                        default="NONE",
                        max_length=8,
                        verbose_name="what is left of a period",
                    ),
                ),
                (
                    "rollover_max",
                    models.PositiveIntegerField(default=0, verbose_name="most that is given again"),
                ),
                ("reason", models.CharField(max_length=255, verbose_name="reason")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        editable=False,
                        verbose_name="written at",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="written by",
                    ),
                ),
            ],
            options={
                "verbose_name": "plan rule",
                "verbose_name_plural": "plan rules",
                "indexes": [
                    models.Index(
                        fields=["plan", "cadence", "effective_from"], name="planrule_in_force"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("total_max__gt", 0)), name="planrule_total_is_positive"
                    ),
                    models.CheckConstraint(
                        condition=Q(("cycle_months__in", [1, 3, 12])),
                        name="planrule_cycle_is_known",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("rollover", "CAPPED"), ("rollover_max__gt", 0)),
                            Q(
                                Q(("rollover", "CAPPED"), _negated=True),
                                ("rollover_max", 0),
                            ),
                            _connector="OR",
                        ),
                        name="planrule_limit_only_where_capped",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            ("cadence", "CYCLE"), ("rollover", "NONE"), _connector="OR"
                        ),
                        name="planrule_only_periods_roll_over",
                    ),
                ],
            },
        ),
        migrations.RunSQL(sql=IMMUTABLE_SQL, reverse_sql=UNDO_SQL),
    ]
