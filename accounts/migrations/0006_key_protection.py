"""Limits of API keys and what they spend; sign-ins whose refresh tokens work once."""

import django.contrib.postgres.fields
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_webhooks'),
    ]

    operations = [
        migrations.CreateModel(
            name='ApiKeySpending',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lineage', models.UUIDField(verbose_name='lineage')),
                ('day', models.DateField(verbose_name='day')),
                ('tokens', models.PositiveBigIntegerField(verbose_name='tokens')),
            ],
            options={
                'verbose_name': 'spending of an API key',
                'verbose_name_plural': 'spending of API keys',
            },
        ),
        migrations.CreateModel(
            name='RefreshFamily',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('current_jti', models.CharField(editable=False, max_length=64, verbose_name='latest token')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('expires_at', models.DateTimeField(verbose_name='expires at')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='revoked at')),
            ],
            options={
                'verbose_name': 'sign-in of a program',
                'verbose_name_plural': 'sign-ins of programs',
            },
        ),
        migrations.AddField(
            model_name='apikey',
            name='allowed_networks',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=43), blank=True, default=list, help_text='The key works from these networks only; from anywhere when empty.', size=None, verbose_name='allowed networks'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='daily_token_budget',
            field=models.PositiveBigIntegerField(blank=True, help_text='Tokens that jobs of this key may set aside in one day of UTC.', null=True, verbose_name='daily token budget'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='exposed_at',
            field=models.DateTimeField(blank=True, help_text='When the key last came over plain HTTP, where others may have read it.', null=True, verbose_name='sent in clear at'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='last_used_from',
            field=models.GenericIPAddressField(blank=True, null=True, verbose_name='last used from'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='lineage',
            field=models.UUIDField(editable=False, null=True),
        ),
        # A default would be drawn once for all rows, and they would share one budget.
        migrations.RunSQL(
            'UPDATE accounts_apikey SET lineage = id', migrations.RunSQL.noop, elidable=True
        ),
        migrations.AlterField(
            model_name='apikey',
            name='lineage',
            field=models.UUIDField(default=uuid.uuid4, editable=False),
        ),
        migrations.AddField(
            model_name='apikey',
            name='replaced_by',
            field=models.OneToOneField(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.apikey', verbose_name='replaced by'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='requests_per_minute',
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name='requests per minute'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='requires_signature',
            field=models.BooleanField(default=False, verbose_name='requires signatures'),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='type',
            field=models.CharField(choices=[('job.succeeded', 'A job has its result'), ('job.failed', 'A job failed and was refunded'), ('job.blocked', 'A job was refused by the content check'), ('job.canceled', 'A job was canceled'), ('job.expired', 'A job did not begin in time'), ('balance.low', 'The balance fell below its alert'), ('recharge.applied', 'A recharge credited tokens'), ('recharge_batch.finished', 'A batch you created has ended'), ('grant.applied', 'A scheduled grant credited tokens'), ('tokens.expired', 'Tokens expired'), ('wallet.frozen', 'The wallet was frozen'), ('wallet.unfrozen', 'The wallet was unfrozen'), ('wallet.closed', 'The wallet was closed'), ('api_key.issued', 'An API key was issued'), ('api_key.revoked', 'An API key was revoked'), ('api_key.exposed', 'An API key was sent over plain HTTP'), ('webhook.test', 'A test that you asked for')], max_length=40, verbose_name='event'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('requests_per_minute', None), ('requests_per_minute__gt', 0), _connector='OR'), name='accounts_key_rate_positive'),
        ),
        migrations.AddConstraint(
            model_name='apikeyspending',
            constraint=models.UniqueConstraint(fields=('lineage', 'day'), name='accounts_key_spending_day'),
        ),
        migrations.AddField(
            model_name='refreshfamily',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddIndex(
            model_name='refreshfamily',
            index=models.Index(fields=['user'], name='accounts_family_by_user'),
        ),
        migrations.AddIndex(
            model_name='refreshfamily',
            index=models.Index(fields=['expires_at'], name='accounts_family_by_expiry'),
        ),
    ]
