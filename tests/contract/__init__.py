"""What the API promises, read from its URL map and its schema and held against the running code."""
