"""Gunicorn of the web image: threads behind a few processes.

``preload_app`` stays off: a database pool opened before the fork would be shared by the workers and
hand one request the rows of another.
"""

import os

bind = os.environ.get("WEB_BIND", "0.0.0.0:8000")
workers = int(os.environ.get("WEB_WORKERS", "2"))
# Answers that wait for a job sleep in a thread of their own, as many as may wait at once, so they
# take none from ordinary requests.
threads = int(os.environ.get("WEB_THREADS", "4")) + int(os.environ.get("JOB_LISTENERS_MAX", "100"))
worker_class = "gthread"
preload_app = False
timeout = 60
graceful_timeout = 30
keepalive = 5
# Memory that long-lived workers gather is given back now and then, never by all at once.
max_requests = 5000
max_requests_jitter = 500
# The control socket would be written to the home folder, which is read-only in the image.
control_socket_disable = True
# The application logs each request with its id.
accesslog = None
errorlog = "-"


def post_worker_init(_worker: object) -> None:
    """Start the process that reads uploads, so that the first upload need not wait for it."""
    from inference.decoding import decoder  # noqa: PLC0415 - the application is loaded by now

    decoder.warm_up()
