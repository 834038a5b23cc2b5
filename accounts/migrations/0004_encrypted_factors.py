"""Secrets of authenticators leave the database in plain text.

The rows are changed in one transaction under a lock that keeps sign-ins of the second factor out;
the database needs a VACUUM FULL of ``otp_totp_totpdevice``, and backups made before need to go, for
the plain secrets to be gone for good.
"""

from django.db import migrations

from accounts import factor_secrets
from accounts.factor_secrets import SECRET_BYTES

LOCK_SQL = "LOCK TABLE otp_totp_totpdevice IN SHARE ROW EXCLUSIVE MODE"


def encrypt(apps, schema_editor):
    device_model = apps.get_model("otp_totp", "TOTPDevice")
    schema_editor.execute(LOCK_SQL)
    for device in device_model.objects.order_by("pk").iterator():
        if device.key.startswith("g1."):
            continue
        secret = bytes.fromhex(device.key)
        if len(secret) > SECRET_BYTES:
            raise ValueError(f"the secret of device {device.pk} is longer than ours are")
        device.key = factor_secrets.seal(secret=secret, user_id=device.user_id)
        device.save(update_fields=["key"])


def decrypt(apps, schema_editor):
    device_model = apps.get_model("otp_totp", "TOTPDevice")
    schema_editor.execute(LOCK_SQL)
    for device in device_model.objects.order_by("pk").iterator():
        device.key = factor_secrets.unseal(text=device.key, user_id=device.user_id).hex()
        device.save(update_fields=["key"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_plan"),
        ("otp_totp", "0003_add_timestamps"),
    ]

    operations = [
        migrations.CreateModel(
            name="Authenticator",
            fields=[],
            options={
                "verbose_name": "authenticator",
                "verbose_name_plural": "authenticators",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("otp_totp.totpdevice",),
        ),
        migrations.RunPython(encrypt, decrypt),
    ]
