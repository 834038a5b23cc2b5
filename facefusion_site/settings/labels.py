"""Settings of what results are labelled with, and of the public check of files."""

from pathlib import Path
from typing import Literal

import environ
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()

_Profile = Literal["cn", "eu"]
_PROFILES: tuple[_Profile, ...] = ("cn", "eu")


def label_profiles(values: list[str]) -> tuple[_Profile, ...]:
    """The profiles that decide on the visible text.

    Raises:
        ImproperlyConfigured: none, or one that does not exist: nothing goes out without a label.
    """
    if not values or not set(values) <= set(_PROFILES):
        raise ImproperlyConfigured(
            f"LABEL_PROFILES: name at least one of {', '.join(_PROFILES)}, separated by commas."
        )
    return tuple(profile for profile in _PROFILES if profile in values)


# Which visible texts results carry, where the account has no profile of its own: cn, eu or both.
LABEL_PROFILES = label_profiles(env.list("LABEL_PROFILES", default=list(_PROFILES)))
# Who runs the service: the name, or the code that an authority gave, in the AIGC field.
LABEL_PRODUCER = env.str("LABEL_PRODUCER", default="facefusion-platform")
# Files in PEM: the private key that signs labels, and its certificate with those that signed it.
LABEL_SIGNING_KEY = env.str("LABEL_SIGNING_KEY", default="")
LABEL_SIGNING_CERTIFICATES = env.str("LABEL_SIGNING_CERTIFICATES", default="")
# Such files of former signers: what they signed stays ours.
LABEL_RETIRED_CERTIFICATES = env.list("LABEL_RETIRED_CERTIFICATES", default=[])
# Where a signer of development is made when no key is named; None: without a key nothing goes out.
LABEL_DEVELOPMENT_DIR: Path | None = None

# The public check of files, by address of who asks; and how large a file may be.
VERIFY_RATE = env.str("VERIFY_RATE", default="30/m")
VERIFY_BYTES_MAX = env.int("VERIFY_BYTES_MAX", default=100 * 1024 * 1024)
