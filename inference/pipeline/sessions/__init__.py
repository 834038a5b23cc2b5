"""ONNX Runtime sessions: where they run, how they are opened and how long they stay."""
