"""Settings of production and development, loaded in processes of their own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory
from pytest_django import Settings

from facefusion_site.common.clients import client_ip
from facefusion_site.settings import connections, local
from inference import labelling

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
PRODUCTION = {
    **EXAMPLE,
    "SECRET_KEY": "s3cret" * 10,
    "API_KEY_PEPPER": "p3pper" * 10,
    "LEDGER_STATEMENT_KEY": "st4tement" * 10,
    "FACTOR_SECRET_KEYS": "f4ctor" * 10,
    "DATABASE_URL": "postgres://facefusion:pw@127.0.0.1:1/facefusion",
    "REDIS_URL": "redis://:pw@127.0.0.1:1/0",
}


def load(module: str, environ: dict[str, str], expression: str) -> subprocess.CompletedProcess[str]:
    """Print an expression over the settings as JSON, in a process that knows only ``environ``."""
    script = (
        "import json; from django.conf import settings; "
        f"print(json.dumps({expression}, default=str))"
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": f"facefusion_site.settings.{module}",
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_lists_exactly_the_variables_that_are_read() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "facefusion_site/settings").glob("*.py")
    ]
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', "".join(sources)))
    read |= set(re.findall(r'required\.\w+\(env, "([A-Z_]+)"', "".join(sources)))
    assert read == set(EXAMPLE) - {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "API_KEY_PEPPER",
        "LEDGER_STATEMENT_KEY",
        "FACTOR_SECRET_KEYS",
        "PUBLIC_URL",
        "ALLOWED_HOSTS",
        "DATABASE_URL",
        "REDIS_URL",
    ],
)
@pytest.mark.parametrize("value", [None, "  "])
def test_production_does_not_start_without(name: str, value: str | None) -> None:
    environ = {key: text for key, text in PRODUCTION.items() if key != name}
    if value is not None:
        environ[name] = value
    done = load("prod", environ, "settings.DEBUG")
    assert done.returncode != 0
    assert f"Set the environment variable {name}" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET_KEY", EXAMPLE["SECRET_KEY"], "SECRET_KEY still holds the text of .env.example"),
        ("API_KEY_PEPPER", "short-secret", "API_KEY_PEPPER needs at least 50 characters"),
        (
            "FACTOR_SECRET_KEYS",
            EXAMPLE["FACTOR_SECRET_KEYS"],
            "FACTOR_SECRET_KEYS still holds the text of .env.example",
        ),
        (
            "FACTOR_SECRET_KEYS",
            "f4ctor" * 10 + ",short-secret",
            "FACTOR_SECRET_KEYS needs at least 50 characters",
        ),
        ("DATABASE_URL", "sqlite:///x", "DATABASE_URL must start with postgres://"),
        ("REDIS_URL", "unix:///run/redis", "REDIS_URL must start with redis://"),
    ],
)
def test_production_refuses_weak_or_wrong_values(name: str, value: str, said: str) -> None:
    done = load("prod", {**PRODUCTION, name: value}, "settings.DEBUG")
    assert done.returncode != 0
    assert said in done.stderr
    assert "short-secret" not in done.stderr.splitlines()[-1]


def test_production_is_locked_down() -> None:
    names = (
        "DEBUG", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE",
        "SECURE_PROXY_SSL_HEADER", "CSRF_TRUSTED_ORIGINS", "ALLOWED_HOSTS", "X_FRAME_OPTIONS",
        "ATOMIC_REQUESTS", "DATABASES", "CACHES", "CELERY_BROKER_URL", "LOGGING",
    )  # fmt: skip
    done = load("prod", PRODUCTION, f"{{n: getattr(settings, n, None) for n in {names}}}")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert got["DEBUG"] is False
    assert got["SECURE_SSL_REDIRECT"] is True
    assert got["SESSION_COOKIE_SECURE"] is True
    assert got["CSRF_COOKIE_SECURE"] is True
    assert got["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert got["CSRF_TRUSTED_ORIGINS"] == ["https://faces.example.com"]
    assert got["ALLOWED_HOSTS"] == ["faces.example.com"]
    assert got["ATOMIC_REQUESTS"] is False
    database = got["DATABASES"]["default"]
    assert database["CONN_MAX_AGE"] == 0
    assert database["OPTIONS"]["pool"]["max_size"] == 10
    assert got["CELERY_BROKER_URL"] == "redis://:pw@127.0.0.1:1/0"
    assert got["CACHES"]["default"]["LOCATION"] == "redis://:pw@127.0.0.1:1/1"
    assert "JSONRenderer" in str(got["LOGGING"]["formatters"]["line"]["processors"])


def test_production_takes_the_newest_of_several_factor_keys_first() -> None:
    new, old = "n3wer" * 10, "0lder" * 10
    done = load(
        "prod", {**PRODUCTION, "FACTOR_SECRET_KEYS": f"{new}, {old}"}, "settings.FACTOR_SECRET_KEYS"
    )
    assert json.loads(done.stdout) == [new, old]


def test_production_without_a_proxy_ignores_forwarded_headers() -> None:
    done = load(
        "prod", {**PRODUCTION, "TRUSTED_PROXY_HOPS": "0"}, "settings.SECURE_PROXY_SSL_HEADER"
    )
    assert json.loads(done.stdout) is None


def test_the_deploy_checks_are_clean_in_production(tmp_path: Path) -> None:
    key, chain = labelling.write_new_signer(tmp_path / "signer", organization="Faces Ltd")
    signer = {"LABEL_SIGNING_KEY": str(key), "LABEL_SIGNING_CERTIFICATES": str(chain)}

    done = check_deploy({**PRODUCTION, **signer})

    assert done.returncode == 0, done.stderr


def test_the_deploy_checks_ask_for_a_signer_of_labels() -> None:
    done = check_deploy(PRODUCTION)

    assert done.returncode == 1
    assert "inference.E001" in done.stderr


def check_deploy(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "INFO"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "facefusion_site.settings.prod",
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_background_work_survives_lost_workers_and_waits_in_its_queues(
    settings: Settings,
) -> None:
    assert settings.CELERY_TASK_ACKS_LATE
    assert settings.CELERY_TASK_REJECT_ON_WORKER_LOST
    assert settings.CELERY_WORKER_PREFETCH_MULTIPLIER == 1
    assert settings.CELERY_TASK_ROUTES["inference.run_swap_job"] == {"queue": "swaps"}
    # A job's hold must outlive the time after which the queue hands the job out again.
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] < settings.HOLD_TTL_S


def test_a_queue_outside_database_0_needs_a_cache_address_of_its_own() -> None:
    with pytest.raises(ImproperlyConfigured, match="set CACHE_URL as well"):
        connections.cache_url_beside("redis://localhost:6379/3")


def test_development_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    first = local.secret(tmp_path / "data", name="secret_key")

    assert len(first) >= 50
    assert local.secret(tmp_path / "data", name="secret_key") == first
    assert local.secret(tmp_path / "data", name="api_key_pepper") != first
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "10.0.0.1", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_the_client_address_comes_from_trusted_proxies_only(
    rf: RequestFactory, settings: Settings, hops: int, forwarded: str, expected: str
) -> None:
    settings.TRUSTED_PROXY_HOPS = hops
    assert client_ip(rf.get("/", headers={"x-forwarded-for": forwarded})) == expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "script", "style"),
    [
        ("/login/", "script-src 'self';", "style-src 'self';"),
        ("/api/v1/schema", "script-src 'self';", "style-src 'self';"),
        ("/admin/", "script-src 'self' 'unsafe-eval';", "style-src 'self' 'unsafe-inline';"),
        ("/api/docs", "script-src 'self';", "style-src 'self' 'unsafe-inline';"),
    ],
)
def test_each_page_may_load_only_what_it_needs(
    client: Client, path: str, script: str, style: str
) -> None:
    policy = client.get(path).headers["Content-Security-Policy"]
    assert script in policy
    assert style in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
