"""Crashes with real processes, a real database server and real signals."""
