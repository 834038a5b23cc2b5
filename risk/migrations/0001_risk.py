"""Rules, decisions, minutes of accounts and sightings of faces."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models

# A version that is or was active says for ever what it said; of a decision only its end, its verdict
# and its appeal are written later.
PROTECT_SQL = """
CREATE FUNCTION risk_refuse_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % stay', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION risk_keep_rule() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(NEW) - ARRAY['state', 'activated_by_id', 'tested_at', 'test_report'])
       IS DISTINCT FROM
       (to_jsonb(OLD) - ARRAY['state', 'activated_by_id', 'tested_at', 'test_report'])
       OR OLD.state <> 'draft' AND (NEW.activated_by_id, NEW.tested_at, NEW.test_report)
          IS DISTINCT FROM (OLD.activated_by_id, OLD.tested_at, OLD.test_report)
       OR OLD.state = 'retired' AND NEW.state <> 'retired'
       OR OLD.state = 'active' AND NEW.state = 'draft'
    THEN
        RAISE EXCEPTION 'a rule is never rewritten: draft a new version'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION risk_keep_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.rule_id, NEW.rule_name, NEW.user_id, NEW.action, NEW.freeze_kind, NEW.evidence,
        NEW.freeze_id, NEW.decided_at, NEW.expires_at)
       IS DISTINCT FROM
       (OLD.id, OLD.rule_id, OLD.rule_name, OLD.user_id, OLD.action, OLD.freeze_kind, OLD.evidence,
        OLD.freeze_id, OLD.decided_at, OLD.expires_at)
       OR OLD.closed_at IS NOT NULL AND (NEW.closed_at, NEW.closed_by_id, NEW.close_reason)
          IS DISTINCT FROM (OLD.closed_at, OLD.closed_by_id, OLD.close_reason)
       OR OLD.appeal <> 'none' AND (NEW.appeal_text, NEW.appealed_at)
          IS DISTINCT FROM (OLD.appeal_text, OLD.appealed_at)
       OR OLD.answered_at IS NOT NULL AND (NEW.appeal, NEW.answer, NEW.answered_at, NEW.answered_by_id)
          IS DISTINCT FROM (OLD.appeal, OLD.answer, OLD.answered_at, OLD.answered_by_id)
    THEN
        RAISE EXCEPTION 'a decision is never rewritten: lift it'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER risk_riskrule_kept BEFORE UPDATE ON risk_riskrule
    FOR EACH ROW EXECUTE FUNCTION risk_keep_rule();
CREATE TRIGGER risk_riskrule_stays BEFORE DELETE ON risk_riskrule
    FOR EACH ROW EXECUTE FUNCTION risk_refuse_delete();
CREATE TRIGGER risk_riskdecision_kept BEFORE UPDATE ON risk_riskdecision
    FOR EACH ROW EXECUTE FUNCTION risk_keep_decision();
CREATE TRIGGER risk_riskdecision_stays BEFORE DELETE ON risk_riskdecision
    FOR EACH ROW EXECUTE FUNCTION risk_refuse_delete();
"""
UNDO_SQL = """
DROP FUNCTION risk_keep_decision() CASCADE;
DROP FUNCTION risk_keep_rule() CASCADE;
DROP FUNCTION risk_refuse_delete() CASCADE;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='RiskRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Lower-case letters, digits and hyphens. The same name makes a new version.', max_length=40, validators=[django.core.validators.RegexValidator('^[a-z][a-z0-9-]{0,39}\\Z')], verbose_name='short name')),
                ('version', models.PositiveIntegerField(editable=False, verbose_name='version')),
                ('title', models.CharField(max_length=128, verbose_name='title')),
                ('signal', models.CharField(choices=[('requests', 'API requests'), ('refused', 'Requests refused by a limit'), ('missing', 'Requests for what is not there'), ('key_networks', 'Networks that one API key is used from'), ('sign_in_networks', 'Networks that the account signs in from'), ('same_face', 'Requests with one source face'), ('face_accounts', 'Accounts that use one source face'), ('faces', 'Different source faces'), ('burn', 'Percent of given tokens spent at once'), ('refunds', 'Percent of jobs that were canceled'), ('blocked', 'Jobs with blocked content')], max_length=24, verbose_name='what is measured')),
                ('window_s', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(60), django.core.validators.MaxValueValidator(86400)], verbose_name='window in seconds')),
                ('threshold', models.PositiveIntegerField(help_text='From this value on; of shares a percentage.', validators=[django.core.validators.MinValueValidator(1)], verbose_name='threshold')),
                ('floor', models.PositiveIntegerField(default=1, help_text='A share is taken of so many jobs or tokens at least.', validators=[django.core.validators.MinValueValidator(1)], verbose_name='floor')),
                ('action', models.CharField(choices=[('allow', 'Let it go on, and note it'), ('review', 'Have somebody look'), ('slow', 'Halve its request limits'), ('freeze', 'Freeze it')], max_length=8, verbose_name='action')),
                ('freeze_kind', models.CharField(blank=True, choices=[('spend', 'Spend tokens'), ('api', 'Use the API with keys and access tokens'), ('login', 'Sign in'), ('upload', 'Upload media')], default='', max_length=8, verbose_name='what is frozen')),
                ('action_s', models.PositiveIntegerField(default=3600, validators=[django.core.validators.MinValueValidator(60), django.core.validators.MaxValueValidator(2592000)], verbose_name='seconds until it ends by itself')),
                ('notice', models.CharField(blank=True, help_text='What the account is told.', max_length=500, verbose_name='notice')),
                ('exempt_plans', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('free', 'Free'), ('vip', 'VIP'), ('enterprise', 'Enterprise'), ('custom', 'Custom')], max_length=16), blank=True, default=list, size=None, verbose_name='not for the plans')),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('active', 'Active'), ('retired', 'Retired')], default='draft', editable=False, max_length=8, verbose_name='state')),
                ('tested_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='tested at')),
                ('test_report', models.JSONField(default=dict, editable=False, verbose_name='report of the test')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='drafted at')),
                ('activated_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='activated by')),
                ('created_by', models.ForeignKey(editable=False, help_text='Empty: it comes with the product.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='drafted by')),
            ],
            options={
                'verbose_name': 'risk rule',
                'verbose_name_plural': 'risk rules',
            },
        ),
        migrations.CreateModel(
            name='RiskDecision',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('rule_name', models.CharField(max_length=40, verbose_name='name of the rule')),
                ('action', models.CharField(choices=[('allow', 'Let it go on, and note it'), ('review', 'Have somebody look'), ('slow', 'Halve its request limits'), ('freeze', 'Freeze it')], max_length=8, verbose_name='action')),
                ('freeze_kind', models.CharField(blank=True, choices=[('spend', 'Spend tokens'), ('api', 'Use the API with keys and access tokens'), ('login', 'Sign in'), ('upload', 'Upload media')], default='', max_length=8, verbose_name='what is frozen')),
                ('evidence', models.JSONField(verbose_name='evidence')),
                ('freeze_id', models.UUIDField(blank=True, help_text='The freeze that was placed, if any.', null=True, verbose_name='freeze')),
                ('decided_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='decided at')),
                ('expires_at', models.DateTimeField(blank=True, help_text='Empty: somebody has to look.', null=True, verbose_name='ends by itself at')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='ended at')),
                ('close_reason', models.CharField(blank=True, default='', max_length=255, verbose_name='why ended')),
                ('verdict', models.CharField(choices=[('open', 'Not looked at'), ('abuse', 'Right: it was abuse'), ('honest', 'Wrong: the account is honest')], default='open', max_length=8, verbose_name='verdict')),
                ('appeal', models.CharField(choices=[('none', 'no appeal'), ('open', 'appeal waits for an answer'), ('rejected', 'appeal rejected'), ('granted', 'appeal granted')], default='none', max_length=8, verbose_name='appeal')),
                ('appeal_text', models.TextField(blank=True, default='', max_length=2000, verbose_name='words of the appeal')),
                ('appealed_at', models.DateTimeField(blank=True, null=True, verbose_name='appealed at')),
                ('answer', models.TextField(blank=True, default='', max_length=2000, verbose_name='answer')),
                ('answered_at', models.DateTimeField(blank=True, null=True, verbose_name='answered at')),
                ('answered_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='answered by')),
                ('closed_by', models.ForeignKey(blank=True, help_text='Empty: its time was over.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='ended by')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='risk.riskrule', verbose_name='rule')),
            ],
            options={
                'verbose_name': 'risk decision',
                'verbose_name_plural': 'risk decisions',
            },
        ),
        migrations.CreateModel(
            name='FaceSighting',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('reference', models.CharField(max_length=64, verbose_name='job or batch')),
                ('person', models.UUIDField(help_text='Random; the same for faces that look alike.', verbose_name='label')),
                ('tokens', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None, verbose_name='tokens')),
                ('seen_at', models.DateTimeField(verbose_name='seen at')),
                ('forget_at', models.DateTimeField(blank=True, help_text='When its tokens are deleted.', null=True, verbose_name='forgotten at')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'sighting of a face',
                'verbose_name_plural': 'sightings of faces',
                'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['tokens'], name='facesighting_tokens'), models.Index(fields=['seen_at'], name='facesighting_seen'), models.Index(condition=models.Q(('forget_at__isnull', False)), fields=['forget_at'], name='facesighting_due')],
                'constraints': [models.UniqueConstraint(fields=('reference', 'person'), name='facesighting_once_per_request'), models.CheckConstraint(condition=models.Q(models.Q(('forget_at', None), ('tokens', [])), models.Q(models.Q(('tokens', []), _negated=True), ('forget_at__isnull', False)), _connector='OR'), name='facesighting_tokens_have_an_end')],
            },
        ),
        migrations.CreateModel(
            name='RiskMinute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('minute', models.DateTimeField(verbose_name='minute')),
                ('signal', models.CharField(choices=[('requests', 'API requests'), ('refused', 'Requests refused by a limit'), ('missing', 'Requests for what is not there'), ('key_networks', 'Networks that one API key is used from')], max_length=24, verbose_name='what was counted')),
                ('value', models.PositiveIntegerField(verbose_name='count')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'minute of an account',
                'verbose_name_plural': 'minutes of accounts',
                'constraints': [models.UniqueConstraint(fields=('signal', 'minute', 'user'), name='riskminute_once')],
            },
        ),
        migrations.AddConstraint(
            model_name='riskrule',
            constraint=models.UniqueConstraint(fields=('name', 'version'), name='riskrule_version_once'),
        ),
        migrations.AddConstraint(
            model_name='riskrule',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('name',), name='riskrule_one_active_version'),
        ),
        migrations.AddConstraint(
            model_name='riskrule',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('action', 'freeze'), ('freeze_kind__in', ['spend', 'api', 'login', 'upload'])), models.Q(models.Q(('action', 'freeze'), _negated=True), ('freeze_kind', '')), _connector='OR'), name='riskrule_freezes_something'),
        ),
        migrations.AddConstraint(
            model_name='riskrule',
            constraint=models.CheckConstraint(condition=models.Q(('action_s__gt', 0), ('floor__gt', 0), ('threshold__gt', 0), ('window_s__gt', 0)), name='riskrule_bounds_are_positive'),
        ),
        migrations.AddIndex(
            model_name='riskdecision',
            index=models.Index(fields=['user', '-decided_at'], name='riskdecision_of_user'),
        ),
        migrations.AddIndex(
            model_name='riskdecision',
            index=models.Index(fields=['-decided_at', '-id'], name='riskdecision_newest'),
        ),
        migrations.AddIndex(
            model_name='riskdecision',
            index=models.Index(condition=models.Q(('closed_at', None), ('expires_at__isnull', False)), fields=['expires_at'], name='riskdecision_due'),
        ),
        migrations.AddConstraint(
            model_name='riskdecision',
            constraint=models.UniqueConstraint(condition=models.Q(('closed_at', None)), fields=('user', 'rule_name'), name='riskdecision_one_open_per_rule'),
        ),
        migrations.AddConstraint(
            model_name='riskdecision',
            constraint=models.CheckConstraint(condition=models.Q(('closed_by', None), models.Q(('closed_at__isnull', False), models.Q(('close_reason', ''), _negated=True)), _connector='OR'), name='riskdecision_end_is_explained'),
        ),
        migrations.AddConstraint(
            model_name='riskdecision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('appeal', 'none'), ('appeal_text', ''), ('appealed_at', None)), models.Q(models.Q(('appeal', 'none'), _negated=True), models.Q(('appeal_text', ''), _negated=True), ('appealed_at__isnull', False)), _connector='OR'), name='riskdecision_appeal_has_words'),
        ),
        migrations.AddConstraint(
            model_name='riskdecision',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('answered_at', None), ('answered_by', None), ('appeal__in', ['none', 'open'])), models.Q(('answered_at__isnull', False), ('appeal__in', ['rejected', 'granted']), ('answered_by__isnull', False), models.Q(('answer', ''), _negated=True)), _connector='OR'), name='riskdecision_answer_is_signed'),
        ),
        migrations.RunSQL(sql=PROTECT_SQL, reverse_sql=UNDO_SQL),
    ]
