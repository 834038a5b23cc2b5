"""Embedded PostgreSQL and Valkey for the demo, for development and for tests; never production.

The application knows nothing of this package: it reads DATABASE_URL and REDIS_URL. On the command
line it is ``python -m facefusion_site.embedded up | down | status | run -- COMMAND``.
"""
