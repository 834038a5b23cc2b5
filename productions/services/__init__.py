"""What interfaces may ask of productions: the writes."""

from productions.services.autopilot import advance
from productions.services.drafts import create_production, load_manifest, revoke_consent
from productions.services.endings import cancel, finish, settle
from productions.services.funding import estimate, fund, refresh_funding
from productions.services.runs import retry, run_wave, start

__all__ = [
    "advance",
    "cancel",
    "create_production",
    "estimate",
    "finish",
    "fund",
    "load_manifest",
    "refresh_funding",
    "retry",
    "revoke_consent",
    "run_wave",
    "settle",
    "start",
]
