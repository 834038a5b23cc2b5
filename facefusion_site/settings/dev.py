"""Settings of a developer's machine and of the demo: no set-up, never reachable by others."""

from facefusion_site.embedded import state as embedded_state
from facefusion_site.settings import local
from facefusion_site.settings.base import *
from facefusion_site.settings.connections import cache_url_beside, caches, databases
from facefusion_site.settings.logging import logging_config

DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default=local.secret(BASE_DIR / ".data", name="secret_key"))
API_KEY_PEPPER = env.str(
    "API_KEY_PEPPER", default=local.secret(BASE_DIR / ".data", name="api_key_pepper")
)
LEDGER_STATEMENT_KEY = env.str(
    "LEDGER_STATEMENT_KEY", default=local.secret(BASE_DIR / ".data", name="ledger_statement_key")
)
FACTOR_SECRET_KEYS = env.list(
    "FACTOR_SECRET_KEYS",
    default=[local.secret(BASE_DIR / ".data", name="factor_secret_key")],
)
# The environment decides; else the servers of `make up`; else the usual ports of a local install.
_embedded = embedded_state.load(BASE_DIR / ".data" / "embedded")
_local = (
    _embedded.addresses()
    if _embedded
    else embedded_state.Addresses(
        database_url="postgres://facefusion@127.0.0.1:5432/facefusion",
        redis_url="redis://127.0.0.1:6379/0",
    )
)
DATABASES = databases(
    url=env.str("DATABASE_URL", default=_local.database_url),
    pool_max=env.int("DATABASE_POOL_MAX", default=10),
)
REDIS_URL = env.str("REDIS_URL", default=_local.redis_url)
CACHES = caches(url=env.str("CACHE_URL", default="") or cache_url_beside(REDIS_URL))
CELERY_BROKER_URL = REDIS_URL
LOGGING = logging_config(level=LOG_LEVEL, json_lines=env.bool("LOG_JSON", default=False))
LABEL_DEVELOPMENT_DIR = BASE_DIR / ".data" / "labels"
# The people of the demo have no authenticators.
CONSOLE_SECOND_FACTOR = env.bool("CONSOLE_SECOND_FACTOR", default=False)
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
