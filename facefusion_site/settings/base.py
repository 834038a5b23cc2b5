"""Settings shared by every environment. Secrets and server addresses live in dev, test and prod."""

from datetime import timedelta
from pathlib import Path

import django_stubs_ext
import environ
from celery.schedules import crontab
from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

from facefusion_site.settings.accounts import *
from facefusion_site.settings.console import *
from facefusion_site.settings.faces import *
from facefusion_site.settings.grants import *
from facefusion_site.settings.jobs import *
from facefusion_site.settings.labels import *
from facefusion_site.settings.logging import configure_structlog
from facefusion_site.settings.mail import *
from facefusion_site.settings.media import *
from facefusion_site.settings.openapi import *
from facefusion_site.settings.outbound import *
from facefusion_site.settings.prices import *
from facefusion_site.settings.productions import *
from facefusion_site.settings.recharges import *
from facefusion_site.settings.reports import *
from facefusion_site.settings.risk import *
from facefusion_site.settings.sandbox import *
from facefusion_site.settings.security import *
from facefusion_site.settings.trust import *
from facefusion_site.settings.webhooks import *
from facefusion_site.settings.workers import *

# Lets ``ModelAdmin[User]`` be written; without it the generic classes of Django fail at run time.
django_stubs_ext.monkeypatch()
configure_structlog()

BASE_DIR = Path(__file__).resolve().parents[2]
env = environ.Env()

# --- Applications ---------------------------------------------------------------------------------
INSTALLED_APPS = [
    "accounts",
    "tokens",
    "trust",
    "inference",
    "promotions",
    "risk",
    "productions",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    # Lets indexes name their operator class.
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_structlog",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "facefusion_site.health.HealthMiddleware",
    "facefusion_site.middleware.ForwardedHeadersMiddleware",
    "facefusion_site.middleware.RequestIdMiddleware",
    "facefusion_site.middleware.HttpsCredentialsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "facefusion_site.middleware.RateLimitHeadersMiddleware",
    "facefusion_site.middleware.ContentPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "risk.middleware.RequestCountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "facefusion_site.console_guard.ConsoleGuardMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
]
ROOT_URLCONF = "facefusion_site.urls"
WSGI_APPLICATION = "facefusion_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# A use case opens its own transaction; one around every request would hold locks while rendering.
ATOMIC_REQUESTS = False

# --- People ---------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
# The name an authenticator app shows beside the codes.
OTP_TOTP_ISSUER = env.str("OTP_TOTP_ISSUER", default="Face swap")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# --- Languages and time ---------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Files ----------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT: Path | None = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(BASE_DIR / ".data" / "media")))
MODELS_DIR = Path(env.str("MODELS_DIR", default=str(BASE_DIR / ".data" / "models")))
FILE_UPLOAD_PERMISSIONS = 0o640
# A bulk recharge of RECHARGE_LINES_MAX lines is about one megabyte of JSON.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# --- Web security ---------------------------------------------------------------------------------
PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

# --- REST API -------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    # API keys come first: their scheme is named in the WWW-Authenticate header of a 401.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.auth.ApiKeyAuthentication",
        "accounts.auth.AccessTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttles.CallerThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "facefusion_site.openapi.ApiSchema",
    "EXCEPTION_HANDLER": "facefusion_site.common.drf.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "UPDATE_LAST_LOGIN": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Face swap API",
    "DESCRIPTION": "Managed face swapping, paid for in tokens.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": SCHEMA_ENUM_NAMES,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "facefusion_site.openapi_hooks.drop_blank_defaults",
        "facefusion_site.openapi_hooks.add_examples",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "displayRequestDuration": True},
}

# --- Background work ------------------------------------------------------------------------------
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = RECHARGE_TASK_ROUTES | {
    "inference.run_swap_job": {"queue": "swaps"},
    "inference.run_swap_segment": {"queue": "swaps"},
    "inference.find_faces": {"queue": "swaps"},
    "tokens.write_export": {"queue": "money"},
    "tokens.grant_vip": {"queue": "money"},
    **GRANT_TASK_ROUTES,
    "accounts.deliver_webhooks": {"queue": "webhooks"},
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
# A task is confirmed when it ended: a killed worker's message is delivered again, to a task that
# claims its row first and so may run twice.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Longer than the longest job, or Redis hands out a job that is still running.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": env.int("CELERY_VISIBILITY_TIMEOUT_S", default=4 * 60 * 60),
    "socket_connect_timeout": 5,
    "retry_policy": {"timeout": 5.0},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# A request must not hang while the broker is away: the sweeper sends the job later.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 2,
    "interval_start": 0.1,
    "interval_step": 0.2,
    "interval_max": 0.5,
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(BASE_DIR / ".data" / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE = {
    "requeue-stale-jobs": {
        "task": "inference.requeue_stale_jobs",
        "schedule": 15.0,
        "options": {"expires": 15.0},
    },
    "sweep-faces": {
        "task": "inference.sweep_faces",
        "schedule": 30.0,
        "options": {"expires": 30.0},
    },
    "expire-holds": {
        "task": "tokens.expire_holds",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    # Expired tokens cannot be spent in between; this only writes it down.
    "expire-lots": {
        "task": "tokens.expire_lots",
        "schedule": 300.0,
        "options": {"expires": 300.0},
    },
    "expire-approvals": {
        "task": "tokens.expire_approvals",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "requeue-recharge-batches": {
        "task": "tokens.requeue_recharge_batches",
        "schedule": 15.0,
        "options": {"expires": 15.0},
    },
    # Every half hour, so that no time zone waits long for its midnight, a lost run is made up for
    # and who joins the plan later in the day is served: an account is granted once a day.
    "grant-vip": {
        "task": "tokens.grant_vip",
        "schedule": crontab(minute="5,35"),
        "options": {"expires": 1800.0},
    },
    **GRANT_BEAT_SCHEDULE,
    "seal-ledger": {
        "task": "tokens.seal_ledger",
        "schedule": 300.0,
        "options": {"expires": 300.0},
    },
    "purge-media": {
        "task": "inference.purge_media",
        "schedule": 300.0,
        "options": {"expires": 300.0},
    },
    "purge-staged-rows": {
        "task": "tokens.purge_staged_rows",
        "schedule": crontab(minute="40", hour="3"),
        "options": {"expires": 3600.0},
    },
    # Some minutes into the day, and again later for a day that a long transaction kept open.
    "reconcile-ledger": {
        "task": "tokens.reconcile_ledger",
        "schedule": crontab(minute="20", hour="0,6"),
        "options": {"expires": 3600.0},
    },
}
CELERY_BEAT_SCHEDULE |= WEBHOOK_BEAT_SCHEDULE | PRICE_BEAT_SCHEDULE
CELERY_BEAT_SCHEDULE |= (
    ACCOUNTS_BEAT_SCHEDULE | REPORT_BEAT_SCHEDULE | MEDIA_BEAT_SCHEDULE | TRUST_BEAT_SCHEDULE
)
CELERY_BEAT_SCHEDULE |= PRODUCTION_BEAT_SCHEDULE | RISK_BEAT_SCHEDULE

# --- Logs -----------------------------------------------------------------------------------------
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
# RequestIdMiddleware has replaced anything that is not a well-formed id before this is read.
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True

# --- The product ----------------------------------------------------------------------------------
# How long refunded tokens live on whose own lot has expired meanwhile.
TOKENS_REFUND_GRACE_S = env.int("TOKENS_REFUND_GRACE_S", default=7 * 24 * 60 * 60)
# Tokens that every VIP account gets each day; 0 switches the daily grant off.
VIP_GRANT_TOKENS = env.int("VIP_GRANT_TOKENS", default=10)
# Whole days that they can be spent, beside the rest of the day of the grant; 0 means for ever.
VIP_GRANT_VALID_DAYS = env.int("VIP_GRANT_VALID_DAYS", default=30)
# A day's grants never exceed this many tokens in all: more of them is taken for a mistake.
VIP_GRANT_TOTAL_MAX = env.int("VIP_GRANT_TOTAL_MAX", default=10_000_000)
# Where the days of scheduled grants begin and end, by its name in the IANA database.
GRANT_TIME_ZONE = env.str("GRANT_TIME_ZONE", default="UTC")
# Days that were missed can be granted for this long.
GRANT_CATCH_UP_DAYS = env.int("GRANT_CATCH_UP_DAYS", default=7)
# Where the daily signed statement of the ledger goes: a place that the database's administrator
# cannot write to.
LEDGER_STATEMENTS_DIR = Path(
    env.str("LEDGER_STATEMENTS_DIR", default=str(BASE_DIR / ".data" / "statements"))
)
QUOTE_TTL_S = env.int("QUOTE_TTL_S", default=15 * 60)
JOB_LEASE_S = env.int("JOB_LEASE_S", default=60)
JOB_ATTEMPTS_MAX = env.int("JOB_ATTEMPTS_MAX", default=3)
HOLD_TTL_S = env.int("HOLD_TTL_S", default=6 * 60 * 60)
# Videos are cut into parts of about this length, which workers swap side by side.
VIDEO_SEGMENT_S = env.int("VIDEO_SEGMENT_S", default=30)
# Threads of one worker that swap frames of one video.
VIDEO_THREADS = env.int("VIDEO_THREADS", default=2)
MODEL_POLICY = env.str("MODEL_POLICY", default="commercial")
# Models whose licence MODEL_POLICY refuses, but for which the operator holds one.
MODELS_LICENSED = env.list("MODELS_LICENSED", default=[])
# A file of the operator's own models, in the form of models.toml; empty for none.
MODELS_EXTRA = env.str("MODELS_EXTRA", default="")
# Classifiers that every source, target and result has to pass; none: nothing is checked, because no
# classifier comes with the product. Once one is named, nothing passes while it cannot be asked.
SAFETY_MODELS = env.list("SAFETY_MODELS", default=[])
SAFETY_VOTES_MIN = env.int("SAFETY_VOTES_MIN", default=2)
SAFETY_VIDEO_SHARE_MAX = env.float("SAFETY_VIDEO_SHARE_MAX", default=0.1)
MODELS_OFFLINE = env.bool("MODELS_OFFLINE", default=False)
# What all open models of one worker may take together, by the size of their files; 0: no limit.
MODELS_MEMORY_MAX_BYTES = env.int("MODELS_MEMORY_MAX_BYTES", default=0)
ORT_PROVIDERS = env.list("ORT_PROVIDERS", default=["cpu"])
ORT_THREADS = env.int("ORT_THREADS", default=1)
ORT_DEVICE_ID = env.int("ORT_DEVICE_ID", default=0)
# Most that one session may take on the GPU; 0 leaves it to ONNX Runtime.
ORT_GPU_MEMORY_MAX_BYTES = env.int("ORT_GPU_MEMORY_MAX_BYTES", default=0)
ORT_PREFER_HALF = env.bool("ORT_PREFER_HALF", default=False)
# Folder for what TensorRT, OpenVINO and CoreML compile once per model; empty for none.
ORT_CACHE_DIR = env.str("ORT_CACHE_DIR", default="")
# ONNX Runtime's own options by provider, over those that follow from the settings above.
ORT_PROVIDER_OPTIONS = env.json("ORT_PROVIDER_OPTIONS", default={})
JOBS_RATE = env.str("JOBS_RATE", default="60/m")
RECHARGES_RATE = env.str("RECHARGES_RATE", default="60/m")
# People prove the second factor for a recharge of more tokens than this.
RECHARGE_STEP_UP_TOKENS = env.int("RECHARGE_STEP_UP_TOKENS", default=100_000)
# Programs have no second factor: with False, API keys are refused above that amount.
STEP_UP_EXEMPTS_API_KEYS = env.bool("STEP_UP_EXEMPTS_API_KEYS", default=True)
RATELIMIT_ENABLE = env.bool("RATELIMIT_ENABLE", default=True)
RATELIMIT_USE_CACHE = "default"


# --- Back office ----------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": _("Face swap console"),
    "SITE_HEADER": _("Face swap"),
    "SITE_SUBHEADER": _("Operations console"),
    "SITE_SYMBOL": "face_retouching_natural",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _request: static("src/img/mark.svg"),
        }
    ],
    "SCRIPTS": [lambda _request: static("src/js/console.js")],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": CONSOLE_COLOURS},
    "COMMAND": {"search_callback": "facefusion_site.customers.search.find"},
    "DASHBOARD_CALLBACK": "facefusion_site.dashboard.overview",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": "facefusion_site.console.navigation",
    },
}
