"""What the ledger has to do, as plain Python that shares no code with it."""
