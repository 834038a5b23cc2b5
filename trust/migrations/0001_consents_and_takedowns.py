"""Consents, takedowns, blocked hashes and receipts of erasure."""

from pathlib import Path

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models


_SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Consent',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('self', "The person's own face"), ('documented', 'Consent of the person shown, in writing'), ('licensed', 'A licence of whoever holds the rights')], max_length=16, verbose_name='rests on')),
                ('uses', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=16), size=None, verbose_name='allows')),
                ('covers_account', models.BooleanField(help_text='Of the account, whatever is uploaded later included.', verbose_name='for all uploads')),
                ('evidence', models.CharField(blank=True, help_text='Where the document lies; the document itself is not kept here.', max_length=500, verbose_name='evidence')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='expires at')),
                ('text_version', models.CharField(max_length=16, verbose_name='version of the text')),
                ('text_language', models.CharField(max_length=16, verbose_name='language of the text')),
                ('text_sha256', models.CharField(max_length=64, verbose_name='SHA-256 of the text')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='attested at')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='revoked at')),
                ('enforced_at', models.DateTimeField(blank=True, help_text='Since when the faces of a revoked consent are gone and its jobs have ended.', null=True, verbose_name='enforced at')),
                ('attested_by', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='attested by')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='owner')),
                ('revoked_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='revoked by')),
            ],
            options={
                'verbose_name': 'consent',
                'verbose_name_plural': 'consents',
            },
        ),
        migrations.CreateModel(
            name='ConsentAsset',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asset_id', models.UUIDField(db_index=True, verbose_name='upload')),
                ('sha256', models.CharField(blank=True, max_length=64, verbose_name='SHA-256')),
                ('consent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='assets', to='trust.consent', verbose_name='consent')),
            ],
            options={
                'verbose_name': 'upload of a consent',
                'verbose_name_plural': 'uploads of consents',
            },
        ),
        migrations.CreateModel(
            name='ErasureReceipt',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('scope', models.CharField(choices=[('asset', 'One upload'), ('result', 'One result'), ('account', 'All media of the account')], max_length=8, verbose_name='scope')),
                ('items_count', models.PositiveIntegerField(verbose_name='files')),
                ('document', models.JSONField(help_text='What is signed.', verbose_name='document')),
                ('key_id', models.CharField(max_length=16, verbose_name='key')),
                ('signature', models.CharField(max_length=128, verbose_name='signature')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='erased at')),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='owner')),
            ],
            options={
                'verbose_name': 'receipt of erasure',
                'verbose_name_plural': 'receipts of erasure',
            },
        ),
        migrations.CreateModel(
            name='Takedown',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('reference', models.CharField(help_text='What the reporter asks by; it cannot be guessed.', max_length=16, unique=True, verbose_name='reference')),
                ('reason', models.CharField(choices=[('intimate', 'It is intimate, and the person shown did not agree'), ('minor', 'It shows a child in a sexual way'), ('likeness', 'It uses my face, or that of somebody I act for, without consent'), ('other', 'Another right is violated')], max_length=16, verbose_name='reason')),
                ('contact', models.CharField(max_length=254, verbose_name='contact')),
                ('statement', models.CharField(max_length=4000, verbose_name='statement')),
                ('link', models.CharField(blank=True, max_length=2000, verbose_name='address')),
                ('sha256', models.CharField(blank=True, max_length=64, verbose_name='SHA-256')),
                ('is_copy_sent', models.BooleanField(default=False, help_text='It was hashed and not kept.', verbose_name='with a copy')),
                ('state', models.CharField(choices=[('open', 'Being looked at'), ('upheld', 'Upheld: it is removed and blocked'), ('rejected', 'Rejected')], default='open', max_length=8, verbose_name='state')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='received at')),
                ('due_at', models.DateTimeField(verbose_name='due at')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided at')),
                ('note', models.CharField(blank=True, help_text='Shown to the reporter.', max_length=1000, verbose_name='answer')),
                ('decided_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
            ],
            options={
                'verbose_name': 'takedown',
                'verbose_name_plural': 'takedowns',
            },
        ),
        migrations.CreateModel(
            name='BlockedHash',
            fields=[
                ('sha256', models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name='SHA-256')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='blocked at')),
                ('enforced_at', models.DateTimeField(blank=True, help_text='Since when what was here with this hash is gone.', null=True, verbose_name='enforced at')),
                ('removed_count', models.PositiveIntegerField(default=0, verbose_name='removed')),
                ('takedown', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='blocked', to='trust.takedown', verbose_name='takedown')),
            ],
            options={
                'verbose_name': 'blocked hash',
                'verbose_name_plural': 'blocked hashes',
            },
        ),
        migrations.AddIndex(
            model_name='consent',
            index=models.Index(fields=['owner', '-created_at', '-id'], name='consent_owner_newest'),
        ),
        migrations.AddIndex(
            model_name='consent',
            index=models.Index(condition=models.Q(('enforced_at__isnull', True), ('revoked_at__isnull', False)), fields=['revoked_at'], name='consent_to_enforce'),
        ),
        migrations.AddConstraint(
            model_name='consent',
            constraint=models.CheckConstraint(condition=models.Q(('uses__len__gt', 0)), name='consent_allows_something'),
        ),
        migrations.AddConstraint(
            model_name='consent',
            constraint=models.CheckConstraint(condition=models.Q(('kind', 'self'), models.Q(models.Q(('evidence', ''), _negated=True), ('covers_account', False)), _connector='OR'), name='consent_of_others_has_evidence'),
        ),
        migrations.AddConstraint(
            model_name='consent',
            constraint=models.CheckConstraint(condition=models.Q(('enforced_at__isnull', True), ('revoked_at__isnull', False), _connector='OR'), name='consent_enforced_only_when_revoked'),
        ),
        migrations.AddIndex(
            model_name='consentasset',
            index=models.Index(condition=models.Q(('sha256', ''), _negated=True), fields=['sha256'], name='consentasset_known_again'),
        ),
        migrations.AddConstraint(
            model_name='consentasset',
            constraint=models.UniqueConstraint(fields=('consent', 'asset_id'), name='consentasset_named_once'),
        ),
        migrations.AddIndex(
            model_name='erasurereceipt',
            index=models.Index(fields=['owner', '-created_at', '-id'], name='erasure_owner_newest'),
        ),
        migrations.AddIndex(
            model_name='takedown',
            index=models.Index(condition=models.Q(('state', 'open')), fields=['due_at'], name='takedown_open_due'),
        ),
        migrations.AddIndex(
            model_name='takedown',
            index=models.Index(fields=['-created_at', '-id'], name='takedown_newest'),
        ),
        migrations.AddConstraint(
            model_name='takedown',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('link', ''), _negated=True), models.Q(('sha256', ''), _negated=True), _connector='OR'), name='takedown_says_what_is_meant'),
        ),
        migrations.AddConstraint(
            model_name='takedown',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('decided_by__isnull', True), ('state', 'open')), models.Q(models.Q(('state', 'open'), _negated=True), models.Q(('note', ''), _negated=True), ('decided_at__isnull', False), ('decided_by__isnull', False)), _connector='OR'), name='takedown_decided_by_somebody'),
        ),
        migrations.AddIndex(
            model_name='blockedhash',
            index=models.Index(fields=['created_at'], name='blockedhash_newest'),
        ),
        migrations.RunSQL(
            (_SQL / "kept.sql").read_text(encoding="utf-8"),
            (_SQL / "kept_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
