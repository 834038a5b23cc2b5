"""Small ONNX files with the inputs and outputs of published models, and arithmetic known exactly.

They stand in where the real weights are not at hand: tests compare the engine with formulas, and
the heavy variants cost about as much time as the real models. Their bytes are the same on every
machine. What each one computes is written beside its builder.
"""
