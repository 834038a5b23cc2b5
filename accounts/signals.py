"""What accounts tells the apps above it, which it knows nothing of."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# An account may no longer do one kind of thing, or may do it again. Sent in the transaction that
# decides it, under the lock on the user, with ``user_id``, ``kind`` (FreezeKind), ``is_frozen``,
# ``actor_id`` (None for the platform itself) and ``reason``. A receiver that raises undoes it.
freeze_changed: Final = Signal()
