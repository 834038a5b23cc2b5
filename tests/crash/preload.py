"""What the fork server loads once, so that each process of a trial starts in milliseconds."""

import importlib
import logging

import django

from facefusion_site.celery import app

django.setup()
# These need loaded apps. Nothing here may open a connection: processes must not share one.
importlib.import_module("tests.crash.works")
app.loader.import_default_modules()
app.finalize()
# Sweeps warn of every hold that they expire; here that is their work.
logging.disable(logging.WARNING)
