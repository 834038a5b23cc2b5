"""Settings of uploads: where they lie, how large they may be, how long they stay."""

from typing import Any

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()

_MIB = 1024 * 1024
_GIB = 1024 * _MIB
_DAY_S = 24 * 60 * 60

# --- What any upload may be -----------------------------------------------------------------------
UPLOAD_BYTES_MAX = env.int("UPLOAD_BYTES_MAX", default=20 * _MIB)
IMAGE_PIXELS_MAX = env.int("IMAGE_PIXELS_MAX", default=40_000_000)
IMAGE_SIDE_MAX_PX = env.int("IMAGE_SIDE_MAX_PX", default=12_000)
VIDEO_BYTES_MAX = env.int("VIDEO_BYTES_MAX", default=_GIB)
VIDEO_PIXELS_MAX = env.int("VIDEO_PIXELS_MAX", default=4096 * 2160)
VIDEO_SIDE_MAX_PX = env.int("VIDEO_SIDE_MAX_PX", default=4096)
VIDEO_DURATION_MAX_S = env.int("VIDEO_DURATION_MAX_S", default=30 * 60)
VIDEO_FRAMES_MAX = env.int("VIDEO_FRAMES_MAX", default=120_000)
VIDEO_FPS_MAX = env.int("VIDEO_FPS_MAX", default=120)
# What the process that looks into an uploaded file may take before it is ended.
IMAGE_DECODE_TIMEOUT_S = env.int("IMAGE_DECODE_TIMEOUT_S", default=30)
IMAGE_DECODE_MEMORY_BYTES = env.int("IMAGE_DECODE_MEMORY_BYTES", default=3 * _GIB)
VIDEO_PROBE_TIMEOUT_S = env.int("VIDEO_PROBE_TIMEOUT_S", default=60)
VIDEO_PROBE_MEMORY_BYTES = env.int("VIDEO_PROBE_MEMORY_BYTES", default=4 * _GIB)
# Workers do their work in a process of its own: a crash ends that and not the worker.
WORKER_ISOLATED = env.bool("WORKER_ISOLATED", default=True)
# Work that shows no progress for so long after its lease has lapsed is ended. Longer than the
# slowest start of the models.
WORKER_STALL_S = env.int("WORKER_STALL_S", default=15 * 60)
UPLOADS_RATE = env.str("UPLOADS_RATE", default="120/m")

# --- What an account may keep, by its plan --------------------------------------------------------
# Of the limits on one file, the smaller of the plan's and the general one counts.
_PLANS: dict[str, dict[str, int]] = {
    "free": {
        "image_bytes_max": 10 * _MIB,
        "image_pixels_max": 25_000_000,
        "video_bytes_max": 200 * _MIB,
        "video_pixels_max": 1920 * 1088,
        "video_duration_max_s": 5 * 60,
        "stored_bytes_max": 2 * _GIB,
        "stored_count_max": 500,
        "keep_s": 7 * _DAY_S,
    },
    "vip": {
        "image_bytes_max": 20 * _MIB,
        "image_pixels_max": 40_000_000,
        "video_bytes_max": _GIB,
        "video_pixels_max": 4096 * 2160,
        "video_duration_max_s": 30 * 60,
        "stored_bytes_max": 50 * _GIB,
        "stored_count_max": 10_000,
        "keep_s": 30 * _DAY_S,
    },
}
_PLANS["enterprise"] = {
    **_PLANS["vip"],
    "stored_bytes_max": 1024 * _GIB,
    "stored_count_max": 200_000,
    "keep_s": 90 * _DAY_S,
}
_PLANS["custom"] = dict(_PLANS["enterprise"])


def plan_limits(changes: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The limits of each plan, with the operator's changes.

    Raises:
        ImproperlyConfigured: a plan or a limit that does not exist, or no whole number above 0.
    """
    limits = {plan: dict(values) for plan, values in _PLANS.items()}
    for plan, values in changes.items():
        for name, value in values.items():
            if (
                plan not in limits
                or name not in limits[plan]
                or type(value) is not int
                or value < 1
            ):
                raise ImproperlyConfigured(
                    f"MEDIA_PLAN_LIMITS: {plan}.{name} must be a limit of a plan and above 0."
                )
            limits[plan][name] = value
    return limits


MEDIA_PLAN_LIMITS = plan_limits(env.json("MEDIA_PLAN_LIMITS", default={}))
# How long an announced upload may take to arrive and be completed.
UPLOAD_URL_TTL_S = env.int("UPLOAD_URL_TTL_S", default=60 * 60)
# Announced uploads that an account may have open at once.
UPLOADS_OPEN_MAX = env.int("UPLOADS_OPEN_MAX", default=100)

# --- Imports by address ---------------------------------------------------------------------------
IMPORT_TIMEOUT_S = env.int("IMPORT_TIMEOUT_S", default=30)
IMPORT_BYTES_MAX = env.int("IMPORT_BYTES_MAX", default=200 * _MIB)
IMPORT_REDIRECTS_MAX = env.int("IMPORT_REDIRECTS_MAX", default=3)
# Imports of one process at once: each holds a thread of the web server.
IMPORTS_AT_ONCE = env.int("IMPORTS_AT_ONCE", default=2)
IMPORTS_RATE = env.str("IMPORTS_RATE", default="30/m")

# --- Where media lies -----------------------------------------------------------------------------
# A bucket of any S3 storage; empty keeps media in MEDIA_ROOT.
MEDIA_BUCKET = env.str("MEDIA_BUCKET", default="")
MEDIA_BUCKET_REGION = env.str("MEDIA_BUCKET_REGION", default="")
MEDIA_BUCKET_ENDPOINT_URL = env.str("MEDIA_BUCKET_ENDPOINT_URL", default="")
# The endpoint that clients reach, where it is another one than ours.
MEDIA_BUCKET_PUBLIC_URL = env.str("MEDIA_BUCKET_PUBLIC_URL", default="")
MEDIA_BUCKET_ACCESS_KEY_ID = env.str("MEDIA_BUCKET_ACCESS_KEY_ID", default="")
MEDIA_BUCKET_SECRET_ACCESS_KEY = env.str("MEDIA_BUCKET_SECRET_ACCESS_KEY", default="")
# Of links to files in the bucket.
MEDIA_URL_TTL_S = env.int("MEDIA_URL_TTL_S", default=5 * 60)


def media_storage(
    *, bucket: str, region: str, endpoint_url: str, access_key: str, secret_key: str
) -> dict[str, Any]:
    """The entry of ``STORAGES`` for media: a folder, or a private bucket.

    Without keys, boto3 looks for them where it always does, for example in the machine's role.
    """
    if not bucket:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    # Only where there is a bucket: the library takes long to load.
    from botocore.config import Config  # noqa: PLC0415

    options = {
        "bucket_name": bucket,
        "region_name": region or None,
        "endpoint_url": endpoint_url or None,
        "access_key": access_key or None,
        "secret_key": secret_key or None,
        "client_config": Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            # Storages that are no Amazon's do not know the checksums that are on by default.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=5,
            read_timeout=60,
            retries={"max_attempts": 3},
        ),
        "default_acl": None,
        "file_overwrite": True,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


MEDIA_STORAGE = media_storage(
    bucket=MEDIA_BUCKET,
    region=MEDIA_BUCKET_REGION,
    endpoint_url=MEDIA_BUCKET_ENDPOINT_URL,
    access_key=MEDIA_BUCKET_ACCESS_KEY_ID,
    secret_key=MEDIA_BUCKET_SECRET_ACCESS_KEY,
)
STORAGES = {
    "default": MEDIA_STORAGE,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

MEDIA_BEAT_SCHEDULE = {
    "sweep-incoming": {
        "task": "inference.sweep_incoming",
        "schedule": crontab(minute="10", hour="4"),
        "options": {"expires": 3600.0},
    },
}
