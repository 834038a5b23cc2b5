import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inference', '0003_job_control'),
    ]

    operations = [
        migrations.CreateModel(
            name='FaceSearch',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('model_set', models.CharField(max_length=128, verbose_name='models')),
                ('status', models.CharField(choices=[('QUEUED', 'Queued'), ('RUNNING', 'Running'), ('DONE', 'Done'), ('FAILED', 'Failed'), ('EXPIRED', 'Expired')], default='QUEUED', max_length=16, verbose_name='status')),
                ('attempt', models.PositiveSmallIntegerField(default=0, help_text='Fencing token: grows with each claim.', verbose_name='attempt')),
                ('attempts_before', models.PositiveSmallIntegerField(default=0, help_text='Attempts of earlier requests.', verbose_name='attempts before')),
                ('lease_expires_at', models.DateTimeField(blank=True, null=True, verbose_name='lease expires at')),
                ('samples_count', models.PositiveIntegerField(default=0, verbose_name='samples')),
                ('turned_away_count', models.PositiveIntegerField(default=0, verbose_name='turned away')),
                ('left_out_count', models.PositiveIntegerField(default=0, verbose_name='left out')),
                ('error_code', models.CharField(blank=True, max_length=64, verbose_name='error code')),
                ('error_detail', models.TextField(blank=True, verbose_name='error detail')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created at')),
                ('sent_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='sent at')),
                ('expires_at', models.DateTimeField(blank=True, help_text='When its faces are forgotten.', null=True, verbose_name='expires at')),
                ('asset', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='inference.mediaasset', verbose_name='upload')),
            ],
            options={
                'verbose_name': 'face search',
                'verbose_name_plural': 'face searches',
            },
        ),
        migrations.CreateModel(
            name='AssetFace',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('index', models.PositiveSmallIntegerField(verbose_name='number')),
                ('left_px', models.FloatField(verbose_name='left')),
                ('top_px', models.FloatField(verbose_name='top')),
                ('right_px', models.FloatField(verbose_name='right')),
                ('bottom_px', models.FloatField(verbose_name='bottom')),
                ('score', models.FloatField(verbose_name='detector score')),
                ('landmark_score', models.FloatField(verbose_name='landmark score')),
                ('sharpness', models.FloatField(verbose_name='sharpness')),
                ('samples_count', models.PositiveIntegerField(verbose_name='samples')),
                ('time_ms', models.PositiveBigIntegerField(blank=True, null=True, verbose_name='sample time')),
                ('start_ms', models.PositiveBigIntegerField(blank=True, null=True, verbose_name='first seen')),
                ('end_ms', models.PositiveBigIntegerField(blank=True, null=True, verbose_name='last seen')),
                ('embedding', models.BinaryField(help_text='float32, little endian; never leaves the server.', verbose_name='embedding')),
                ('thumbnail_key', models.CharField(max_length=255, verbose_name='thumbnail key')),
                ('search', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='faces', to='inference.facesearch', verbose_name='search')),
            ],
            options={
                'verbose_name': 'face',
                'verbose_name_plural': 'faces',
            },
        ),
        migrations.AddIndex(
            model_name='facesearch',
            index=models.Index(condition=models.Q(('status__in', ['QUEUED', 'RUNNING'])), fields=['sent_at'], name='facesearch_open_sent'),
        ),
        migrations.AddIndex(
            model_name='facesearch',
            index=models.Index(condition=models.Q(('status', 'DONE')), fields=['expires_at'], name='facesearch_expiry'),
        ),
        migrations.AddConstraint(
            model_name='facesearch',
            constraint=models.UniqueConstraint(fields=('asset', 'model_set'), name='facesearch_one_per_model_set'),
        ),
        migrations.AddConstraint(
            model_name='facesearch',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('attempt__gt', 0), ('lease_expires_at__isnull', False), ('status', 'RUNNING')), models.Q(models.Q(('status', 'RUNNING'), _negated=True), ('lease_expires_at__isnull', True)), _connector='OR'), name='facesearch_lease_only_while_running'),
        ),
        migrations.AddConstraint(
            model_name='facesearch',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'FAILED'), models.Q(('error_code', ''), _negated=True)), models.Q(models.Q(('status', 'FAILED'), _negated=True), ('error_code', '')), _connector='OR'), name='facesearch_error_only_when_failed'),
        ),
        migrations.AddConstraint(
            model_name='facesearch',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('expires_at__isnull', False), ('status', 'DONE')), models.Q(models.Q(('status', 'DONE'), _negated=True), ('expires_at__isnull', True)), _connector='OR'), name='facesearch_expires_only_when_done'),
        ),
        migrations.AddConstraint(
            model_name='assetface',
            constraint=models.UniqueConstraint(fields=('search', 'index'), name='assetface_number_per_search'),
        ),
        migrations.AddConstraint(
            model_name='assetface',
            constraint=models.CheckConstraint(condition=models.Q(('bottom_px__gt', models.F('top_px')), ('right_px__gt', models.F('left_px'))), name='assetface_box_has_area'),
        ),
        migrations.AddConstraint(
            model_name='assetface',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('end_ms__isnull', True), ('start_ms__isnull', True), ('time_ms__isnull', True)), models.Q(('end_ms__gte', models.F('time_ms')), ('end_ms__isnull', False), ('start_ms__isnull', False), ('start_ms__lte', models.F('time_ms')), ('time_ms__isnull', False)), _connector='OR'), name='assetface_times_come_together'),
        ),
    ]
