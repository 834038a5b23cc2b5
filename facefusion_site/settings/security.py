"""Settings of protection: proxies that are believed, HTTPS for credentials, limits on requests."""

import ipaddress

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()


def networks(name: str, values: list[str]) -> list[str]:
    """Networks in CIDR notation, as they were given.

    Raises:
        ImproperlyConfigured: one of them is no network.
    """
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {value} is not a network.") from error
    return values


# Proxies of ours in front: their X-Forwarded-For and X-Forwarded-Proto are believed. With 0, a
# client that sends these headers itself gains nothing.
TRUSTED_PROXY_HOPS = env.int("TRUSTED_PROXY_HOPS", default=0)
# Where the nearest of them connects from. Empty believes every peer, which is right only if
# nothing but the proxies can reach us.
TRUSTED_PROXIES = networks("TRUSTED_PROXIES", env.list("TRUSTED_PROXIES", default=[]))
RATELIMIT_IP_META_KEY = "facefusion_site.common.clients.client_ip"
# Refuse credentials of the API that come over plain HTTP; production always does.
API_HTTPS_ONLY = False

# Requests of one account to the whole API, beside the limits of single endpoints.
API_RATE = env.str("API_RATE", default="600/m")
# What the limits of an account are multiplied with, by its plan.
RATE_PLAN_FACTORS = {"free": 1, "vip": 2, "enterprise": 10, "custom": 10}
# How far the time of a signed request may be from ours, in either direction.
SIGNATURE_WINDOW_S = 300
# Networks of one key.
KEY_NETWORKS_MAX = 50
