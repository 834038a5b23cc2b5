"""Rows of trust."""
