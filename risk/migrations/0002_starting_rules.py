"""The rules that come with the product, in force from the first day."""

from django.db import migrations

from risk.starting_rules import STARTING_RULES


def store(apps, schema_editor):
    rule = apps.get_model('risk', 'RiskRule')
    rule.objects.bulk_create(
        [rule(**values, version=1, state='active') for values in STARTING_RULES]
    )


class Migration(migrations.Migration):

    dependencies = [
        ('risk', '0001_risk'),
    ]

    operations = [
        migrations.RunPython(store, migrations.RunPython.noop),
    ]
