"""Paint the identity of a source onto aligned targets, each kind of model behind one protocol."""
