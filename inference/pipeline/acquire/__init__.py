"""Brings model files into the model folder: from the network, or from a file given by hand."""
