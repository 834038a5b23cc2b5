"""Files that nobody should send: made by hand and by a seeded generator, the same on every run."""
