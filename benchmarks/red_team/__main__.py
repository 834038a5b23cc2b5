"""``python -m benchmarks.red_team``: see the package."""

from __future__ import annotations

import argparse
import importlib
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import Final

import django

from benchmarks.ledger import server as servers
from facefusion_site.embedded.errors import EmbeddedError
from inference.pipeline.labels.certificate import make_credentials

SETTINGS: Final = "facefusion_site.settings.prod"


def main() -> int:
    """Play and print; 0 when all patterns were stopped and no honest account was frozen."""
    parser = argparse.ArgumentParser(prog="make red-team", description=__doc__)
    parser.add_argument("--honest", type=int, default=1000, help="honest accounts")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with servers.throwaway() as server:
            os.environ.update(server.environ, **_production(server.folder))
            django.setup()
            # Imported late: models need the settings.
            session = importlib.import_module("benchmarks.red_team.session")
            is_good: bool = session.run(folder=server.folder, honest_count=options.honest)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 1
    except EmbeddedError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0 if is_good else 1


def _production(folder: Path) -> dict[str, str]:
    """Settings of production behind a proxy, with the limits and rules of the defaults."""
    secret_names = ("SECRET_KEY", "API_KEY_PEPPER", "LEDGER_STATEMENT_KEY", "FACTOR_SECRET_KEYS")
    return {
        **{name: secrets.token_urlsafe(48) for name in secret_names},
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "PUBLIC_URL": "https://127.0.0.1",
        "ALLOWED_HOSTS": "127.0.0.1",
        "TRUSTED_PROXY_HOPS": "1",
        "STATIC_ROOT": str(folder / "static"),
        "MEDIA_ROOT": str(folder / "media"),
        "MODELS_DIR": str(folder / "models"),
        "MODELS_EXTRA": str(folder / "red.toml"),
        "SAFETY_MODELS": "red_1",
        "SAFETY_VOTES_MIN": "1",
        "RISK_SWEEP_S": "2",
        "LOG_LEVEL": "ERROR",
        **_signer(folder),
        # Consents are another matter: every upload here would only vouch for itself.
        "CONSENT_REQUIRED": "off",
    }


def _signer(folder: Path) -> dict[str, str]:
    """Who signs the labels of results: without one no job succeeds."""
    made = make_credentials(organization="red team")
    key, chain = folder / "label-key.pem", folder / "label-certificates.pem"
    key.write_bytes(made.key_pem)
    chain.write_bytes(made.chain_pem)
    return {"LABEL_SIGNING_KEY": str(key), "LABEL_SIGNING_CERTIFICATES": str(chain)}


if __name__ == "__main__":
    sys.exit(main())
