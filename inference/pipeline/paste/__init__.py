"""Brings swapped crops back into their picture."""
