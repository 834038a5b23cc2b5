from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0009_batches_newest'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='swapjob',
            index=models.Index(condition=models.Q(('status__in', ['FAILED', 'BLOCKED', 'CANCELED', 'EXPIRED'])), fields=['status', '-created_at', '-id'], name='swapjob_fruitless_newest'),
        ),
    ]
