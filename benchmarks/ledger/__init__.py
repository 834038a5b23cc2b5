"""Measure the ledger: bulk recharges beside other ways to write them, and charging meanwhile.

``python -m benchmarks.ledger`` starts throw-away servers that keep their data through a power cut
(fsync and synchronous commit on), measures, prints tables and one line of JSON, and removes them.
"""
