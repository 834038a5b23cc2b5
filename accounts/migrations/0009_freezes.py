"""Freezes of accounts by kind, notes of staff, and a memory of sign-ins."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models

# A freeze is evidence: what it was for stays, and once it has ended only its appeal can be decided.
PROTECT_SQL = """
CREATE FUNCTION accounts_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are immutable: correct them with new ones', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION accounts_keep_freeze() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.user_id, NEW.kind, NEW.code, NEW.reason, NEW.evidence, NEW.notice, NEW.source,
        NEW.created_by_id, NEW.created_at)
       IS DISTINCT FROM
       (OLD.id, OLD.user_id, OLD.kind, OLD.code, OLD.reason, OLD.evidence, OLD.notice, OLD.source,
        OLD.created_by_id, OLD.created_at)
       OR OLD.lifted_at IS NOT NULL
       AND (NEW.expires_at, NEW.lifted_at, NEW.lifted_by_id, NEW.lift_reason)
           IS DISTINCT FROM
           (OLD.expires_at, OLD.lifted_at, OLD.lifted_by_id, OLD.lift_reason)
    THEN
        RAISE EXCEPTION 'a freeze is never rewritten: lift it, or place another one'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER accounts_accountfreeze_kept
    BEFORE UPDATE ON accounts_accountfreeze
    FOR EACH ROW EXECUTE FUNCTION accounts_keep_freeze();
CREATE TRIGGER accounts_accountfreeze_stays
    BEFORE DELETE ON accounts_accountfreeze
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_change();
CREATE TRIGGER accounts_accountnote_immutable
    BEFORE UPDATE OR DELETE ON accounts_accountnote
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_change();
"""
UNDO_SQL = """
DROP FUNCTION accounts_keep_freeze() CASCADE;
DROP FUNCTION accounts_refuse_change() CASCADE;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0008_plan_since'),
    ]

    operations = [
        migrations.CreateModel(
            name='AccountFreeze',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('spend', 'Spend tokens'), ('api', 'Use the API with keys and access tokens'), ('login', 'Sign in'), ('upload', 'Upload media')], max_length=8, verbose_name='what is frozen')),
                ('code', models.CharField(choices=[('abuse', 'Abuse of the service'), ('fraud', 'Suspected fraud'), ('payment_dispute', 'Disputed payment'), ('stolen_credentials', 'Stolen credentials'), ('velocity', 'Unusual activity'), ('legal', 'Legal request'), ('customer_request', 'Wish of the customer'), ('other', 'Something else')], max_length=32, verbose_name='kind of reason')),
                ('reason', models.CharField(max_length=255, verbose_name='reason')),
                ('evidence', models.TextField(blank=True, max_length=2000, verbose_name='evidence')),
                ('notice', models.CharField(blank=True, help_text='What the account is told.', max_length=500, verbose_name='notice')),
                ('source', models.CharField(help_text='“staff”, or the rule that froze it, with its version.', max_length=64, verbose_name='source')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='frozen at')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='ends by itself at')),
                ('lifted_at', models.DateTimeField(blank=True, null=True, verbose_name='lifted at')),
                ('lift_reason', models.CharField(blank=True, default='', max_length=255, verbose_name='why lifted')),
                ('appeal', models.CharField(choices=[('none', 'no appeal'), ('open', 'appeal waits for a decision'), ('rejected', 'appeal rejected'), ('granted', 'appeal granted')], default='none', max_length=8, verbose_name='appeal')),
            ],
            options={
                'verbose_name': 'freeze',
                'verbose_name_plural': 'freezes',
            },
        ),
        migrations.CreateModel(
            name='AccountNote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(max_length=4000, verbose_name='note')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='written at')),
            ],
            options={
                'verbose_name': 'note',
                'verbose_name_plural': 'notes',
            },
        ),
        migrations.CreateModel(
            name='SignIn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('way', models.CharField(choices=[('PAGE', 'on a page'), ('PROGRAM', 'by a program')], max_length=8, verbose_name='way')),
                ('address', models.GenericIPAddressField(blank=True, null=True, verbose_name='address')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='signed in at')),
            ],
            options={
                'verbose_name': 'sign-in',
                'verbose_name_plural': 'sign-ins',
            },
        ),
        migrations.AddField(
            model_name='user',
            name='frozen_kinds',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('spend', 'Spend tokens'), ('api', 'Use the API with keys and access tokens'), ('login', 'Sign in'), ('upload', 'Upload media')], max_length=8), blank=True, db_default=[], default=list, editable=False, help_text='What the account may not do for now; see its freezes.', size=None, verbose_name='frozen'),
        ),
        migrations.AlterField(
            model_name='webhookevent',
            name='type',
            field=models.CharField(choices=[('job.succeeded', 'A job has its result'), ('job.failed', 'A job failed and was refunded'), ('job.blocked', 'A job was refused by the content check'), ('job.canceled', 'A job was canceled'), ('job.expired', 'A job did not begin in time'), ('balance.low', 'The balance fell below its alert'), ('recharge.applied', 'A recharge credited tokens'), ('recharge_batch.finished', 'A batch you created has ended'), ('grant.applied', 'A scheduled grant credited tokens'), ('tokens.expired', 'Tokens expired'), ('wallet.frozen', 'The wallet was frozen'), ('wallet.unfrozen', 'The wallet was unfrozen'), ('wallet.closed', 'The wallet was closed'), ('account.frozen', 'The account was frozen'), ('account.unfrozen', 'The account was unfrozen'), ('api_key.issued', 'An API key was issued'), ('api_key.revoked', 'An API key was revoked'), ('api_key.exposed', 'An API key was sent over plain HTTP'), ('webhook.test', 'A test that you asked for')], max_length=40, verbose_name='event'),
        ),
        migrations.AddField(
            model_name='accountfreeze',
            name='created_by',
            field=models.ForeignKey(blank=True, help_text='Empty: the platform itself.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='frozen by'),
        ),
        migrations.AddField(
            model_name='accountfreeze',
            name='lifted_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='lifted by'),
        ),
        migrations.AddField(
            model_name='accountfreeze',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddField(
            model_name='accountnote',
            name='author',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='author'),
        ),
        migrations.AddField(
            model_name='accountnote',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddField(
            model_name='signin',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user'),
        ),
        migrations.AddIndex(
            model_name='accountfreeze',
            index=models.Index(fields=['user', '-created_at'], name='accounts_freeze_of_user'),
        ),
        migrations.AddIndex(
            model_name='accountfreeze',
            index=models.Index(condition=models.Q(('expires_at__isnull', False), ('lifted_at', None)), fields=['expires_at'], name='accounts_freeze_due'),
        ),
        migrations.AddConstraint(
            model_name='accountfreeze',
            constraint=models.UniqueConstraint(condition=models.Q(('lifted_at', None)), fields=('user', 'kind', 'source'), name='accounts_freeze_once_per_source'),
        ),
        migrations.AddConstraint(
            model_name='accountfreeze',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['spend', 'api', 'login', 'upload'])), name='accounts_freeze_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='accountfreeze',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('reason', ''), _negated=True), models.Q(('source', ''), _negated=True)), name='accounts_freeze_is_explained'),
        ),
        migrations.AddConstraint(
            model_name='accountfreeze',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('lift_reason', ''), ('lifted_at', None), ('lifted_by', None)), models.Q(('lifted_at__isnull', False), models.Q(('lift_reason', ''), _negated=True)), _connector='OR'), name='accounts_freeze_end_is_explained'),
        ),
        migrations.AddIndex(
            model_name='accountnote',
            index=models.Index(fields=['user', '-created_at', '-id'], name='accounts_note_of_user'),
        ),
        migrations.AddConstraint(
            model_name='accountnote',
            constraint=models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='accounts_note_says_something'),
        ),
        migrations.AddIndex(
            model_name='signin',
            index=models.Index(fields=['user', '-created_at', '-id'], name='accounts_sign_in_of_user'),
        ),
        migrations.AddIndex(
            model_name='signin',
            index=models.Index(fields=['created_at'], name='accounts_sign_in_by_age'),
        ),
        migrations.RunSQL(sql=PROTECT_SQL, reverse_sql=UNDO_SQL),
    ]
