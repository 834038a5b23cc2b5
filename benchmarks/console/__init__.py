"""Measure the pages of the console over a large database.

``python -m benchmarks.console`` fills the real tables of a throw-away server by set-based SQL,
opens every list and page as an administrator, and prints queries, milliseconds and sequential scans
of large tables, then one line of JSON.
"""
