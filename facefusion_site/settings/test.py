"""Settings of the test suite. The addresses come from the throw-away servers of the test plugin."""

from pathlib import Path

from facefusion_site.settings.base import *
from facefusion_site.settings.connections import cache_url_beside, caches, databases
from facefusion_site.settings.logging import logging_config

SECRET_KEY = "only-for-tests-" + "x" * 50
API_KEY_PEPPER = "only-for-tests-" + "y" * 50
LEDGER_STATEMENT_KEY = "only-for-tests-" + "z" * 50
FACTOR_SECRET_KEYS = ["only-for-tests-" + "f" * 50]
# Port 1 answers nobody: tools that only load the settings need no server.
# Without a pool: a thread that ends with an open connection would keep it from the next test.
DATABASES = databases(
    url=env.str("DATABASE_URL", default="postgres://facefusion@127.0.0.1:1/facefusion"), pool_max=0
)
REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:1/0")
CACHES = caches(url=cache_url_beside(REDIS_URL))
CELERY_BROKER_URL = REDIS_URL
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(BASE_DIR / ".data" / "test-media")))
# Tests look into their own process; those of the isolation say so.
WORKER_ISOLATED = env.bool("WORKER_ISOLATED", default=False)
LABEL_DEVELOPMENT_DIR = BASE_DIR / ".data" / "test-labels"
# Tests of the guard itself switch it on.
CONSOLE_SECOND_FACTOR = False
# Tests of consents switch it on: elsewhere every source would need a word about its face first.
CONSENT_REQUIRED = env.str("CONSENT_REQUIRED", default="off")
# Static files come straight from the source folders; nothing is collected for tests.
STATIC_ROOT = None
WHITENOISE_USE_FINDERS = True
LOGGING = logging_config(level="WARNING", json_lines=True)
# Tests of the rules switch them on; elsewhere no test is to be stopped by them.
RISK_ENABLED = env.bool("RISK_ENABLED", default=False)
# Fast on purpose: tests create many users.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
