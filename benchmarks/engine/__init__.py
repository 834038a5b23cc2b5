"""How fast the engine is, and where its time goes.

Clips are made from the sample photographs. Shares and speeds per thread come from one thread that
tracks and paints frames that are decoded already, by the processor time of that thread, which other
processes do not add to; speeds from file to file are by the clock. The heavy set replaces swapper
and recogniser by stand-ins with about the arithmetic of the real models and keeps the built-in
detector and landmarks, because those have to find real faces.
"""
