"""Makes faces and whole frames sharper, after the swap."""
