"""What trust tells the apps that keep media, which it knows nothing of."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# A consent was revoked: sent after the commit with ``consent_id``. Whoever keeps media ends what
# uses the faces and removes them, then calls ``services.revocation_enforced``. If that fails, the
# consent stays in ``selectors.revocations_to_enforce``.
consent_revoked: Final = Signal()
# Bytes were blocked: sent after the commit with ``sha256``. Whoever keeps media removes what has
# this digest, then calls ``services.block_enforced``; else ``selectors.blocks_to_enforce`` has it.
hash_blocked: Final = Signal()
