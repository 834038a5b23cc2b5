"""Measurements of the product on servers of their own; each package is one ``make bench-…``."""
