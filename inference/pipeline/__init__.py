"""Face swapping on arrays: numpy, OpenCV and ONNX Runtime, nothing of the web side.

Images are ``(H, W, 3) uint8 BGR`` between the stages; tensors are named where they appear.
"""
