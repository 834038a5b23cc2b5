"""Settings of production: nothing secret or per-host has a default, HTTPS everywhere."""

from facefusion_site.settings import required
from facefusion_site.settings.base import *
from facefusion_site.settings.connections import cache_url_beside, caches, databases
from facefusion_site.settings.logging import logging_config

DEBUG = False
SECRET_KEY = required.secret(env, "SECRET_KEY")
API_KEY_PEPPER = required.secret(env, "API_KEY_PEPPER")
LEDGER_STATEMENT_KEY = required.secret(env, "LEDGER_STATEMENT_KEY")
FACTOR_SECRET_KEYS = required.secrets(env, "FACTOR_SECRET_KEYS")
PUBLIC_URL = required.text(env, "PUBLIC_URL").rstrip("/")
ALLOWED_HOSTS = [host.strip() for host in required.text(env, "ALLOWED_HOSTS").split(",")]
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])

DATABASES = databases(
    url=required.text(env, "DATABASE_URL"), pool_max=env.int("DATABASE_POOL_MAX", default=10)
)
REDIS_URL = required.text(env, "REDIS_URL")
CACHES = caches(url=env.str("CACHE_URL", default="") or cache_url_beside(REDIS_URL))
CELERY_BROKER_URL = REDIS_URL

STORAGES = {
    "default": MEDIA_STORAGE,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

API_HTTPS_ONLY = True
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=30 * 24 * 60 * 60)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken"
if TRUSTED_PROXY_HOPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOGGING = logging_config(level=LOG_LEVEL, json_lines=True)
SILENCED_SYSTEM_CHECKS = [
    # Preloading HSTS binds a whole domain in every browser: its owner decides that, not we.
    "security.W021",
]
