"""Follows faces through the frames of a video."""
