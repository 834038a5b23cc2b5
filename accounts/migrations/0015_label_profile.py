from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0014_media_removed")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="label_profile",
            field=models.CharField(
                blank=True,
                choices=[("cn", "China"), ("eu", "European Union")],
                db_default="",
                default="",
                help_text="Which text the results of the account carry; empty: what is usual here.",
                max_length=8,
                verbose_name="label profile",
            ),
        ),
    ]
