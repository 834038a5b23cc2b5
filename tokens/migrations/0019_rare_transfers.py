from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tokens', '0018_events_say_more'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='transfer',
            index=models.Index(condition=models.Q(('kind__in', ['OVERRUN', 'EXPIRE', 'REGRANT', 'REFUND', 'REVERSE', 'CREDIT', 'DEBIT'])), fields=['kind', '-id'], name='transfer_rare_kinds'),
        ),
    ]
