"""The console with the pages that show several apps at once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import include, path

from facefusion_site.customers import urls


def console_urls() -> tuple[list[Any], str, str]:
    """The addresses of the console; these pages stand in its namespace, so its guard sees them."""
    pages, app_name, namespace = admin.site.urls
    # First: Django's last pattern takes every address that is left.
    return [path("customers/", include(urls)), *pages], app_name, namespace
