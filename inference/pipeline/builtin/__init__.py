"""Builds the built-in model set out of weight files that arrive as Python packages.

Nothing here is needed to run a swap: the engine only reads the finished ONNX files.
"""
