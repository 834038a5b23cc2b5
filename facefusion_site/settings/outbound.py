"""Calls to addresses that users name: imports and webhooks. None of these is read from outside."""

# Plain HTTP is for development and tests; production has no way to allow it.
OUTBOUND_HTTP_ALLOWED = False
OUTBOUND_PORTS = (443, 8443)
# Networks that count as public although they are not: tests name their own servers here.
OUTBOUND_EXEMPT_NETWORKS: tuple[str, ...] = ()
# Certificates that are trusted; None trusts those of the system (or of SSL_CERT_FILE).
OUTBOUND_CA_FILE: str | None = None
OUTBOUND_USER_AGENT = "facefusion-site/1.0"
