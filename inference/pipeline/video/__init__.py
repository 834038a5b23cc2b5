"""Video in, video out: probe, decode, process frames in parallel, encode, keep everything else.

Frames are ``(H, W, 3) uint8 BGR``, upright, SDR BT.709; times are exact rationals.
"""
