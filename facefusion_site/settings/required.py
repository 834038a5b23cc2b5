"""Values production must be given: absent, empty, short or example ones stop the start."""

import environ
from django.core.exceptions import ImproperlyConfigured

# Every secret in .env.example starts like this, so a copied example never becomes a real secret.
EXAMPLE_PREFIX = "replace-me"


def text(env: environ.Env, name: str) -> str:
    """Read a variable that has no default.

    Raises:
        ImproperlyConfigured: It is absent or empty; the message names it.
    """
    value: str = env.str(name, default="").strip()
    if not value:
        raise ImproperlyConfigured(f"Set the environment variable {name}; see .env.example.")
    return value


def secret(env: environ.Env, name: str, *, length_min: int = 50) -> str:
    """Read a secret.

    Raises:
        ImproperlyConfigured: It is absent, empty, too short or the example's; the message names
            the variable and never shows the value.
    """
    value = text(env, name)
    _check_secret(value, name=name, length_min=length_min)
    return value


def secrets(env: environ.Env, name: str, *, length_min: int = 50) -> list[str]:
    """Read secrets that are separated by commas; the first one is the newest.

    Raises:
        ImproperlyConfigured: there is none, or one of them is too short or the example's.
    """
    values = [value.strip() for value in text(env, name).split(",")]
    for value in values:
        _check_secret(value, name=name, length_min=length_min)
    return values


def _check_secret(value: str, *, name: str, length_min: int) -> None:
    if value.startswith(EXAMPLE_PREFIX):
        raise ImproperlyConfigured(f"{name} still holds the text of .env.example.")
    if len(value) < length_min:
        raise ImproperlyConfigured(f"{name} needs at least {length_min} characters.")
