"""Refuses content that must not be made; when it cannot tell, it refuses."""
