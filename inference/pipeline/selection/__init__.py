"""Which faces are swapped, and whose face each of them gets."""
