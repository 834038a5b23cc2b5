"""What every model file is, where it comes from, and who may use it."""
