"""Where mail goes: notices to owners of webhook endpoints that were switched off."""

import environ

env = environ.Env()

# smtp+tls://user:password@host:587; without an address no mail is sent, and the console says the
# same as the mail would.
_url = env.email_url("EMAIL_URL", default="dummymail://")
EMAIL_BACKEND = _url["EMAIL_BACKEND"]
EMAIL_HOST = _url["EMAIL_HOST"] or "localhost"
EMAIL_PORT = _url["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _url["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _url["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = bool(_url.get("EMAIL_USE_TLS", False))
EMAIL_USE_SSL = bool(_url.get("EMAIL_USE_SSL", False))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="noreply@localhost")
