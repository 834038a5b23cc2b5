"""Measure the API: requests a second and latencies beside a bare Django view in the same run.

``python -m benchmarks.api`` starts throw-away servers and the production web server twice, once
with the product and once with a view that does nothing, asks both from other processes, prints
tables and one line of JSON, and removes everything.
"""
