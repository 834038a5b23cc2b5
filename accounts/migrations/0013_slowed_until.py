"""Until when an account is slowed down."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0012_more_events'),
    ]

    operations = [
        migrations.AddField(
            model_name='user',
            name='slowed_until',
            field=models.DateTimeField(blank=True, editable=False, help_text='Until then the request limits of the account are halved.', null=True, verbose_name='slowed down until'),
        ),
    ]
