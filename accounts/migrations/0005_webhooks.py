"""Webhook endpoints, their outbox and what became of each delivery; and balance alerts."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_encrypted_factors'),
    ]

    operations = [
        migrations.CreateModel(
            name='BalanceAlert',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='+', serialize=False, to=settings.AUTH_USER_MODEL, verbose_name='user')),
                ('below', models.PositiveBigIntegerField(verbose_name='below')),
                ('is_low', models.BooleanField(default=False, verbose_name='told')),
            ],
            options={
                'verbose_name': 'balance alert',
                'verbose_name_plural': 'balance alerts',
                'constraints': [models.CheckConstraint(condition=models.Q(('below__gt', 0)), name='accounts_alert_has_bound')],
            },
        ),
        migrations.CreateModel(
            name='WebhookEndpoint',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('url', models.CharField(max_length=2048, verbose_name='address')),
                ('description', models.CharField(blank=True, max_length=200, verbose_name='description')),
                ('events', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), size=None, verbose_name='events')),
                ('status', models.CharField(choices=[('ACTIVE', 'active'), ('DISABLED', 'switched off'), ('DELETED', 'deleted')], default='ACTIVE', max_length=8, verbose_name='status')),
                ('disabled_reason', models.CharField(blank=True, choices=[('OWNER', 'by its owner'), ('OPERATOR', 'by an operator'), ('GONE', 'it answered 410'), ('FAILING', 'it failed for too long')], default='', max_length=8, verbose_name='reason')),
                ('disabled_at', models.DateTimeField(blank=True, null=True, verbose_name='switched off at')),
                ('secret', models.CharField(editable=False, max_length=200)),
                ('previous_secret', models.CharField(blank=True, default='', editable=False, max_length=200)),
                ('previous_secret_until', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='old secret works until')),
                ('last_success_at', models.DateTimeField(blank=True, null=True, verbose_name='last delivery')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'webhook endpoint',
                'verbose_name_plural': 'webhook endpoints',
            },
        ),
        migrations.CreateModel(
            name='WebhookEvent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('type', models.CharField(choices=[('job.succeeded', 'A job has its result'), ('job.failed', 'A job failed and was refunded'), ('job.blocked', 'A job was refused by the content check'), ('job.canceled', 'A job was canceled'), ('job.expired', 'A job did not begin in time'), ('balance.low', 'The balance fell below its alert'), ('recharge.applied', 'A recharge credited tokens'), ('recharge_batch.finished', 'A batch you created has ended'), ('grant.applied', 'A scheduled grant credited tokens'), ('tokens.expired', 'Tokens expired'), ('wallet.frozen', 'The wallet was frozen'), ('wallet.unfrozen', 'The wallet was unfrozen'), ('wallet.closed', 'The wallet was closed'), ('api_key.issued', 'An API key was issued'), ('api_key.revoked', 'An API key was revoked'), ('webhook.test', 'A test that you asked for')], max_length=40, verbose_name='event')),
                ('data', models.JSONField(verbose_name='content')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'webhook event',
                'verbose_name_plural': 'webhook events',
            },
        ),
        migrations.CreateModel(
            name='WebhookDelivery',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('status', models.CharField(choices=[('PENDING', 'waits'), ('DELIVERED', 'delivered'), ('FAILED', 'given up'), ('CANCELED', 'canceled')], default='PENDING', max_length=9, verbose_name='status')),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='tries of this round')),
                ('attempts_count', models.PositiveIntegerField(default=0, verbose_name='tries')),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next try at')),
                ('lease_expires_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='ended at')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='created at')),
                ('endpoint', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.webhookendpoint', verbose_name='endpoint')),
                ('event', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.webhookevent', verbose_name='event')),
            ],
            options={
                'verbose_name': 'webhook delivery',
                'verbose_name_plural': 'webhook deliveries',
            },
        ),
        migrations.CreateModel(
            name='WebhookAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='number')),
                ('started_at', models.DateTimeField(verbose_name='started at')),
                ('latency_ms', models.PositiveIntegerField(blank=True, null=True, verbose_name='milliseconds')),
                ('status_code', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='HTTP status')),
                ('error', models.CharField(blank=True, default='', max_length=40, verbose_name='error')),
                ('excerpt', models.TextField(blank=True, default='', verbose_name='start of the answer')),
                ('delivery', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.webhookdelivery', verbose_name='delivery')),
            ],
            options={
                'verbose_name': 'try',
                'verbose_name_plural': 'tries',
                'constraints': [models.UniqueConstraint(fields=('delivery', 'number'), name='accounts_attempt_once_each')],
            },
        ),
        migrations.AddIndex(
            model_name='webhookendpoint',
            index=models.Index(condition=models.Q(('status', 'DELETED'), _negated=True), fields=['user'], name='accounts_endpoint_by_user'),
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.CheckConstraint(condition=models.Q(('events__len__gt', 0)), name='accounts_endpoint_has_events'),
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('disabled_at__isnull', False), ('status', 'DISABLED'), models.Q(('disabled_reason', ''), _negated=True)), models.Q(('disabled_at', None), ('disabled_reason', ''), ('status', 'ACTIVE')), ('status', 'DELETED'), _connector='OR'), name='accounts_endpoint_reason_when_off'),
        ),
        migrations.AddConstraint(
            model_name='webhookendpoint',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('previous_secret', ''), ('secret', ''), ('status', 'DELETED')), models.Q(models.Q(('status', 'DELETED'), _negated=True), models.Q(('secret', ''), _negated=True)), _connector='OR'), name='accounts_endpoint_deleted_no_secret'),
        ),
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(fields=['user', '-created_at', '-id'], name='accounts_event_by_user'),
        ),
        migrations.AddIndex(
            model_name='webhookevent',
            index=models.Index(fields=['created_at'], name='accounts_event_by_age'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(condition=models.Q(('status', 'PENDING')), fields=['next_attempt_at'], name='accounts_delivery_due'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(condition=models.Q(('lease_expires_at__isnull', False)), fields=['endpoint'], name='accounts_delivery_at_work'),
        ),
        migrations.AddIndex(
            model_name='webhookdelivery',
            index=models.Index(fields=['endpoint', '-created_at', '-id'], name='accounts_delivery_newest'),
        ),
        migrations.AddConstraint(
            model_name='webhookdelivery',
            constraint=models.UniqueConstraint(fields=('endpoint', 'event'), name='accounts_delivery_once_each'),
        ),
        migrations.AddConstraint(
            model_name='webhookdelivery',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at', None), ('status', 'PENDING')), models.Q(('finished_at__isnull', False), ('lease_expires_at', None), models.Q(('status', 'PENDING'), _negated=True)), _connector='OR'), name='accounts_delivery_ends_unleased'),
        ),
    ]
