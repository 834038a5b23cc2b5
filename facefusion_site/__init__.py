"""Project package: settings, URLs, Celery application, embedded servers."""

from facefusion_site.celery import app as celery_app

__all__ = ["celery_app"]
